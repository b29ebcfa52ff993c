"""Scores that leave row by row are those that a network gave, whatever the tiles."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skipseg.models.inference.accumulator import Accumulator, best_axis, rows_held
from skipseg.models.inference.backends.eager import Eager
from skipseg.models.inference.certainty import Doubt, entropy_of
from skipseg.models.inference.flight import Flight, Way, fly_alone
from skipseg.models.inference.restore import ClassIndices, restore
from skipseg.models.inference.tiles import Tiling
from skipseg.models.inference.whole import Whole
from skipseg.models.preprocess import Placement
from skipseg.models.scans.geometry import Geometry

CPU = torch.device("cpu")
SIDES = st.tuples(*[st.integers(1, 24)] * 3)
TILES = st.tuples(*[st.integers(2, 10)] * 3)


def identity(batch=1) -> Eager:
    """A network that answers what it is shown: blended, its scores are the image again."""
    return Eager(torch.nn.Identity(), CPU, "fp32", batch)


def placement(grid, scan) -> Placement:
    geometry = Geometry(scan, np.diag([1.0, 1.0, 1.0, 1.0]))
    turn = geometry.turn_to("LPI")
    return Placement(geometry, turn, tuple(slice(0, side) for side in scan), grid)


def noise(grid, classes=3):
    return torch.randn(classes, *grid, generator=torch.Generator().manual_seed(sum(grid)))


@pytest.fixture(params=[0, 2**28], ids=["a layer of tiles at a time", "all rows at once"])
def held(request, monkeypatch):
    monkeypatch.setattr("skipseg.models.inference.accumulator.HELD_BYTES", request.param)


@settings(max_examples=40, deadline=None)
@given(grid=SIDES, scan=SIDES, tile=TILES, overlap=st.floats(0, 0.8), batch=st.integers(1, 5), held=st.booleans())
def test_labels_are_those_of_all_scores_at_once(grid, scan, tile, overlap, batch, held):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skipseg.models.inference.accumulator.HELD_BYTES", 2**28 if held else 0)
        patch.setattr("skipseg.models.inference.restore.PIECE_VALUES", 500)
        patch.setattr("skipseg.models.inference.certainty.SLAB_VALUES", 300)
        image, where = noise(grid), placement(grid, scan)
        way = Way(tile, 3, 3, overlap)
        flight = fly_alone(Flight(image, way, identity(batch), lambda: [ClassIndices(where), Doubt(), Whole()]))
    labels, doubt, whole = flight.sinks
    torch.testing.assert_close(whole.scores, image, rtol=1e-4, atol=1e-5)
    assert np.array_equal(labels.result(), restore(whole.scores, where))
    at_once = entropy_of(whole.scores)
    assert doubt.entropy == (at_once if at_once is None else pytest.approx(at_once, rel=1e-5))


def test_slices_are_shown_to_a_network_of_two_dimensions(held):
    image = noise((20, 17, 9))
    flight = fly_alone(Flight(image, Way((8, 8, 1), 2, 3, 0.5), identity(4), lambda: [Whole()]))
    torch.testing.assert_close(flight.sinks[0].scores, image, rtol=1e-4, atol=1e-5)


def test_mirrored_views_are_turned_back_and_share_the_weight(held):
    image = noise((20, 17, 9))
    way = Way((8, 8, 8), 3, 3, 0.5, mirrored=((), (0,), (2,), (0, 2)))
    flight = fly_alone(Flight(image, way, identity(), lambda: [Whole()]))
    torch.testing.assert_close(flight.sinks[0].scores, image, rtol=1e-4, atol=1e-5)


def test_a_whole_body_holds_the_scores_of_one_layer_of_tiles():
    tiling = Tiling.over((512, 512, 600), (128, 128, 64), 0.5)
    along = best_axis(tiling)
    assert along == 2
    assert rows_held(tiling, along, classes=21, margin=3) == 67  # of 600: 1.5 GB in place of 13


def test_rows_that_left_make_room_for_others():
    tiling = Tiling.over((40, 4, 4), (8, 4, 4), 0.5)
    accumulator = Accumulator(tiling, 0, 1, CPU, 0)
    accumulator.rows, accumulator.scores = 8, accumulator.scores[:8].contiguous()
    accumulator.scores[:] = torch.arange(8.0).view(8, 1, 1, 1)
    accumulator.forget(3)
    assert accumulator.base == 3
    assert accumulator.scores[:, 0, 0, 0].tolist() == [3, 4, 5, 6, 7, 0, 0, 0]
