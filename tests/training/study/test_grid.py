"""The grid of a study: depths that are counted in the network as it is built, and weights that are equal."""

from itertools import pairwise

import pytest
from torch import nn

from skipseg.models.networks.kit import WEIGHTED
from skipseg.models.networks.recipes import build
from skipseg.models.networks.skips import SKIPS
from skipseg.training.study.gradients import convolutions, counts_as_depth
from skipseg.training.study.grid import DEPTHS, EXTENTS, Extent, Frame, Variation, count_weights, recipe_of

FRAMES = {
    dimensions: Frame(dimensions, 1, 3, ((1,) * dimensions, *[(2,) * dimensions] * 2), ((3,) * dimensions,) * 3, 60_000)
    for dimensions in (2, 3)
}


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("residual", [True, False])
def test_a_network_has_as_many_convolutions_as_its_depth_says(depth, residual):
    network = build(recipe_of(Variation(depth=depth, residual=residual), FRAMES[2]))
    counted = [name for name, _ in convolutions(network) if counts_as_depth(name)]
    assert len(counted) == depth
    others = [m for n, m in network.named_modules() if isinstance(m, WEIGHTED) and n not in counted]
    ones = [m for m in others if not isinstance(m, nn.ConvTranspose2d)]
    assert all(set(one.kernel_size) == {1} for one in ones)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_every_network_of_the_grid_has_about_the_weights_asked_for(dimensions):
    frame = FRAMES[dimensions]
    weights = {one: count_weights(recipe_of(one, frame)) for one in EXTENTS[0].variations}
    assert {one: count for one, count in weights.items() if abs(count / frame.weights - 1) > 0.1} == {}


def test_twins_are_equally_wide():
    for skip, depth in (("concat", 52), ("add", 16)):
        twins = [
            Variation(skip=skip, depth=depth, residual=r, activation=a) for r in (0, 1) for a in ("relu", "sigmoid")
        ]
        assert len({recipe_of(twin, FRAMES[2]).widths for twin in twins}) == 1


def test_the_grid_holds_every_kind_of_skip_and_both_twins_of_every_depth():
    variations = Extent((4, 16, 52), 3).variations
    assert {one.skip for one in variations if one.depth == 16} == set(SKIPS)
    for depth in (4, 16, 52):
        assert {one.residual for one in variations if one.depth == depth} == {True, False}
    assert len(set(variations)) == len(variations)
    assert len({one.name for one in variations}) == len(variations)


def test_depths_in_the_middle_are_given_up_before_seeds_and_one_seed_stays():
    assert EXTENTS[0] == Extent(DEPTHS, 3)
    for larger, smaller in pairwise(EXTENTS):
        assert set(smaller.depths) <= set(larger.depths)
        assert smaller.seeds <= larger.seeds
        assert {min(DEPTHS), max(DEPTHS)} <= set(smaller.depths)
        assert (larger.seeds == smaller.seeds) or larger.depths == smaller.depths
    assert EXTENTS[-1].seeds == 1


def test_a_frame_keeps_the_planned_strides_and_adds_what_is_missing():
    planned = recipe_of(Variation(depth=4), FRAMES[3]).model_copy(
        update={"strides": ((2, 2, 2), (1, 2, 2)), "kernels": ((1, 3, 3), (3, 3, 3))}
    )
    frame = Frame.of(planned, 1000)
    assert frame.strides == ((1, 1, 1), (1, 2, 2), (2, 2, 2))
    assert frame.kernels == ((1, 3, 3), (3, 3, 3), (3, 3, 3))
