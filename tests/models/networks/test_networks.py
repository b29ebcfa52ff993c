"""The U-Net and its parts, in every shape a recipe can ask for."""

from itertools import product

import pytest
import torch
from bundles import small_recipe
from pydantic import ValidationError
from torch import nn

from skipseg.models.networks.blocks import ResidualBlock
from skipseg.models.networks.recipes import build
from skipseg.models.networks.skips import Concat

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
    "two resolutions": small_recipe(
        3, widths=(4, 8), strides=((1, 1, 1), (2, 2, 2)), kernels=((3, 3, 3),) * 2, blocks=(0, 1)
    ),
}


@pytest.fixture(params=RECIPES.values(), ids=RECIPES.keys())
def recipe(request):
    return request.param


@pytest.mark.parametrize("sides", [(16, 16, 16), (17, 13, 19), (31, 16, 9), (15, 16, 2)], ids=str)
def test_logits_have_the_image_size_whatever_that_is(recipe, sides):
    image = torch.randn(2, recipe.channels, *[side * 2 + 3 for side in sides[: recipe.dimensions]])
    with torch.inference_mode():
        assert build(recipe).eval()(image).shape == (2, recipe.classes, *image.shape[2:])


def test_gradients_reach_every_parameter(recipe):
    network = build(recipe).train()
    outputs = network(torch.randn(2, recipe.channels, *(40,) * recipe.dimensions))
    sum(output.square().mean() for output in (outputs if isinstance(outputs, list) else [outputs])).backward()
    without = [
        name for name, parameter in network.named_parameters() if parameter.grad is None or not parameter.grad.any()
    ]
    assert without == []


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


def test_weights_survive_a_state_dict(recipe):
    first, second = build(recipe).eval(), build(recipe).eval()
    second.load_state_dict(first.state_dict())
    image = torch.randn(1, recipe.channels, *(40,) * recipe.dimensions)
    with torch.inference_mode():
        torch.testing.assert_close(first(image), second(image), rtol=0, atol=0)


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


def test_concatenation_keeps_both_sides_and_cuts_what_upsampling_added():
    up, across = torch.randn(1, 3, 6, 6, 6), torch.randn(1, 2, 5, 6, 5)
    joined = Concat()(up, across)
    assert torch.equal(joined, torch.cat([up[:, :, :5, :, :5], across], 1))
    assert joined.shape[1] == Concat.width(3, 2)


@pytest.mark.parametrize(("dimensions", "came", "goes", "stride"), list(product((2, 3), (4,), (4, 6), (1, 2))))
def test_a_residual_skip_is_the_identity_exactly_when_shapes_agree(dimensions, came, goes, stride):
    block = ResidualBlock(dimensions, came, goes, (3,) * dimensions, (stride,) * dimensions)
    assert isinstance(block.skip, nn.Identity) == (came == goes and stride == 1)
    image = torch.randn(1, came, *(7,) * dimensions)
    assert block(image).shape == (1, goes, *(-(-7 // stride),) * dimensions)


def test_a_residual_block_with_silent_convolutions_passes_its_input_on():
    block = ResidualBlock(3, 4, 4, (3, 3, 3)).eval()
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
