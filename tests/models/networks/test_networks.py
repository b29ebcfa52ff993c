"""The U-Net and its parts, in every shape a recipe can ask for."""

from itertools import product
from typing import ClassVar

import pytest
import torch
from bundles import small_recipe
from family import NetworkTests
from pydantic import ValidationError
from torch import nn

from skipseg.models.networks.blocks import BLOCKS, BasicBlock
from skipseg.models.networks.kit import ACTIVATIONS, Kit
from skipseg.models.networks.recipes import build
from skipseg.models.networks.skips import SKIPS

RECIPES = {
    "2D": small_recipe(2),
    "3D": small_recipe(3),
    "plain": small_recipe(3, residual=False),
    "four channels, six classes": small_recipe(2, 4, 6),
    "anisotropic": small_recipe(
        3, strides=((1, 1, 1), (2, 2, 1), (2, 2, 2)), kernels=((3, 3, 1), (3, 3, 3), (3, 3, 3))
    ),
    "strided stem": small_recipe(3, strides=((2, 2, 2), (2, 2, 2), (2, 2, 2))),
    "deep": small_recipe(
        2, widths=(4,) * 6, strides=((1, 1),) + ((2, 2),) * 5, kernels=((3, 3),) * 6, blocks=(1, 2, 2, 1, 1, 1)
    ),
    "no deep supervision": small_recipe(3, deep_supervision=False),
    **{f"skip {kind}": small_recipe(3, skip=kind) for kind in SKIPS},
    **{f"{kind} blocks": small_recipe(2, block=kind, blocks=(0, 2, 1)) for kind in BLOCKS},
    **{f"plain {kind} blocks": small_recipe(2, block=kind, residual=False) for kind in BLOCKS},
    **{kind: small_recipe(2, activation=kind) for kind in ACTIVATIONS},
    **{f"norm {kind}": small_recipe(3, norm=kind, block="preactivation") for kind in ("group", "batch", "none")},
    "two resolutions": small_recipe(
        3, widths=(4, 8), strides=((1, 1, 1), (2, 2, 2)), kernels=((3, 3, 3),) * 2, blocks=(0, 1)
    ),
}


class TestUNets(NetworkTests):
    RECIPES: ClassVar = RECIPES


@pytest.fixture(params=RECIPES.values(), ids=RECIPES.keys())
def recipe(request):
    return request.param


def test_deep_supervision_answers_from_fine_to_coarse_and_only_while_training(recipe):
    network, image = build(recipe), torch.randn(1, recipe.channels, *(40,) * recipe.dimensions)
    outputs = network.train()(image)
    if not recipe.deep_supervision:
        assert torch.is_tensor(outputs)
        return
    assert len(outputs) == max(len(recipe.widths) - 1, 1)
    sizes = [output.shape[2] for output in outputs]
    assert sizes == sorted(sizes, reverse=True)
    assert outputs[0].shape[2:] == image.shape[2:]
    assert torch.is_tensor(network.eval()(image))


def test_the_encoder_is_heard_across_each_skip():
    """Zeroing what came across changes the logits: no skip is a dead end."""
    torch.manual_seed(0)
    network, image = build(small_recipe(3)).eval(), torch.randn(1, 1, 16, 16, 16)
    with torch.inference_mode():
        whole = network(image)
        for join in network.joins:
            silence = join.register_forward_pre_hook(lambda _, inputs: (inputs[0], torch.zeros_like(inputs[1])))
            assert not torch.allclose(network(image), whole, atol=1e-4)
            silence.remove()


@pytest.mark.parametrize(("dimensions", "came", "goes", "stride"), list(product((2, 3), (4,), (4, 6), (1, 2))))
def test_a_residual_skip_is_the_identity_exactly_when_shapes_agree(dimensions, came, goes, stride):
    block = BasicBlock(Kit(dimensions), came, goes, (3,) * dimensions, (stride,) * dimensions, residual=True)
    assert isinstance(block.skip, nn.Identity) == (came == goes and stride == 1)
    image = torch.randn(1, came, *(7,) * dimensions)
    assert block(image).shape == (1, goes, *(-(-7 // stride),) * dimensions)


def test_a_residual_block_with_silent_convolutions_passes_its_input_on():
    block = BasicBlock(Kit(3), 4, 4, (3, 3, 3), (1, 1, 1), residual=True).eval()
    nn.init.zeros_(block.second[1].weight)
    image = torch.rand(1, 4, 5, 5, 5)
    assert torch.equal(block(image), image)


@pytest.mark.parametrize(
    "wrong",
    [
        {"widths": (4,)},
        {"strides": ((1, 1, 1),)},
        {"strides": ((1, 1),) * 3},
        {"blocks": (1,)},
        {"kernels": ((9, 9, 9),) * 3},
        {"widths": (4, 6, 10**6)},
        {"classes": 1},
        {"kind": "os.system"},
        {"_target_": "os.system"},
    ],
    ids=str,
)
def test_a_recipe_that_contradicts_itself_or_is_not_allowed_is_refused(wrong):
    with pytest.raises(ValidationError):
        small_recipe(3, **wrong)


@pytest.mark.timeout(1800)  # minutes on a slow machine
def test_more_than_fifty_convolutions_build_and_learn():
    torch.manual_seed(0)
    network = build(small_recipe(2, blocks=(8, 8, 10), deep_supervision=False)).train()
    assert sum(isinstance(module, nn.Conv2d) for module in network.modules()) > 50
    image = torch.randn(2, 1, 32, 32)
    classes = (image[:, 0] > 0).long()
    learner = torch.optim.AdamW(network.parameters(), 3e-3)
    losses = []
    for _ in range(40):
        loss = nn.functional.cross_entropy(network(image), classes)
        learner.zero_grad()
        loss.backward()
        learner.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_plain_blocks_of_older_bundles_are_read():
    """Version 0.1 calls the two convolutions of a plain block 0 and 1."""
    network = build(small_recipe(3, residual=False))
    older = {
        name.replace(".first.", ".0.").replace(".second.", ".1."): values
        for name, values in network.state_dict().items()
    }
    assert older.keys() != network.state_dict().keys()
    again = build(small_recipe(3, residual=False))
    again.load_state_dict(older)
    for name, values in network.state_dict().items():
        assert torch.equal(again.state_dict()[name], values)


def test_a_plain_network_is_its_residual_twin_without_the_additions():
    """Same weights but for the projections, so the two can be compared."""
    twins = [build(small_recipe(3, residual=residual)).state_dict() for residual in (True, False)]
    only = twins[0].keys() - twins[1].keys()
    assert only
    assert all(".skip." in name for name in only)
    assert not twins[1].keys() - twins[0].keys()
