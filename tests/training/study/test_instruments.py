"""Instruments against what is known to be true."""

import csv

import pytest
import torch
from bundles import small_recipe
from fitting import make_fit
from torch import nn

from skipseg.models.errors import UsageError
from skipseg.models.networks.recipes import build
from skipseg.training.fitting.schedule import Budget
from skipseg.training.study.activations import activation_statistics, held_bytes
from skipseg.training.study.crossing import OfAnother, changed, crossings, effective_rank, joins_of, shuffled, zeroed
from skipseg.training.study.gradients import GradientFile, gradient_norms
from skipseg.training.study.prices import projection_prices, skip_prices


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build(small_recipe(2, 1, 2, deep_supervision=False)).eval()


def test_gradient_norms_are_those_of_a_known_function():
    network = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.Conv2d(1, 1, 1, bias=False))
    with torch.no_grad():
        network[0].weight.fill_(2.0)
        network[1].weight.fill_(-5.0)
    network(torch.full((1, 1, 1, 1), 3.0)).sum().backward()  # 3 a b: by a 3 b, by b 3 a
    norms = gradient_norms(network, step=7)
    assert norms.gradients == (15.0, 6.0)
    assert norms.weights == (2.0, 5.0)
    assert norms.relative == (7.5, 1.2)
    assert norms.ratio == pytest.approx(6.25)
    assert norms.step == 7


def test_layers_that_no_gradient_reached_have_none():
    network = nn.Sequential(nn.Conv2d(1, 1, 1))
    assert gradient_norms(network).gradients == (0.0,)


def test_activations_are_told_by_mean_deviation_and_share_of_zeros():
    found = activation_statistics(nn.Sequential(nn.ReLU()), torch.tensor([[-1.0, -2.0, 0.5, 1.5]]))
    assert found.mean == (0.5,)
    assert found.zeros == (0.5,)
    assert found.deviation[0] == pytest.approx(torch.tensor([0, 0, 0.5, 1.5]).std().item())


def test_held_bytes_count_what_the_backward_pass_needs_once():
    image = torch.randn(2, 3, 8, 8)
    convolution = nn.Conv2d(3, 4, 3, padding=1)
    assert held_bytes(convolution, image) == image.numel() * 4
    assert held_bytes(nn.Sequential(nn.Sigmoid()), image.requires_grad_()) == image.numel() * 4


def test_a_zeroed_skip_changes_the_answer_and_only_within_the_block(network):
    image = torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        whole = network(image)
        for place in range(len(joins_of(network))):
            with changed(network, place, zeroed):
                assert not torch.allclose(network(image), whole)
        torch.testing.assert_close(network(image), whole)


def test_zeroing_what_is_cut_anyway_changes_nothing():
    network, image = build(small_recipe(2, 1, 2, skip="none", deep_supervision=False)).eval(), torch.randn(1, 1, 32, 32)
    with torch.no_grad():
        whole = network(image)
        with changed(network, 0, zeroed):
            torch.testing.assert_close(network(image), whole)


def test_a_shuffled_skip_carries_the_features_of_another(network):
    one, other = torch.randn(1, 32, 32), torch.randn(1, 32, 32)
    with torch.no_grad():
        same = OfAnother(network, 1, one)(one[None])
        torch.testing.assert_close(same, network(one[None]), rtol=1e-4, atol=1e-4)
        assert not torch.allclose(OfAnother(network, 1, other)(one[None]), same)


def test_to_shuffle_a_single_case_is_refused(network):
    with pytest.raises(UsageError, match="two of them"), changed(network, 0, shuffled):
        network(torch.randn(1, 1, 32, 32))


def test_a_network_without_joins_is_refused():
    with pytest.raises(UsageError, match="has none"):
        joins_of(nn.Sequential())


def test_effective_rank_is_the_number_of_independent_features():
    chance = torch.Generator().manual_seed(0)
    features = torch.randn(1, 4, 64, 64, generator=chance)
    assert effective_rank(features) == pytest.approx(4, abs=0.05)
    assert effective_rank(features[:, :1].repeat(1, 4, 1, 1)) == pytest.approx(1, abs=0.01)
    assert effective_rank(torch.ones(1, 4, 8, 8)) == 0


def test_crossings_are_listed_coarsest_first(network):
    shapes = [tuple(across.shape) for _, across in crossings(network, torch.randn(1, 1, 32, 32))]
    assert shapes == [(1, 6, 16, 16), (1, 4, 32, 32)]


@pytest.mark.parametrize(("skip", "weights"), [("concat", 9 * 4 * 4), ("add", 0), ("none", 0)])
def test_a_skip_is_priced_by_what_it_adds(skip, weights):
    network = build(small_recipe(2, 1, 2, skip=skip, deep_supervision=False)).eval()
    prices = skip_prices(network, torch.randn(2, 1, 32, 32), rounds=1)
    assert prices[1].weights == weights
    assert prices[1].multiplications == weights * 32 * 32
    assert prices[1].held_bytes == 4 * 32 * 32 * 4


def test_a_mismatch_is_refused_and_a_projection_counted():
    from skipseg.models.networks.kit import Kit

    block, join = projection_prices(Kit(2, "relu"), 8, (16, 16), 2, torch.device("cpu"))
    assert block.refused
    assert join.refused
    assert block.weights == 8 * 16 + 2 * 16  # and its norm
    assert join.weights == 16 * 8
    assert len(join.milliseconds) == 2


def test_any_training_can_write_its_gradients(tmp_path):
    file = tmp_path / "instruments.csv"
    make_fit(tmp_path, Budget(steps=20), instrument=GradientFile(file, moments=10)).run()
    with file.open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert sorted({int(row["step"]) for row in rows}) == list(range(0, 20, 2))
    assert {"contracting.0.0.0", "head"} <= {row["layer"] for row in rows}
    assert all(float(row["gradient_norm"]) > 0 and float(row["weight_norm"]) > 0 for row in rows)
