"""Tiles cover a volume, blend to one, and give back what went in."""

from itertools import pairwise

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skipseg.models.inference.tiles import Frame, Tiling, outer

SIDES = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 16)), min_size=2, max_size=3)


@settings(max_examples=60, deadline=None)
@given(SIDES, st.floats(0, 0.9))
def test_blending_what_went_in_gives_back_what_went_in(sides, overlap):
    tile = [side for _, side in sides]
    image = torch.randn(2, *[length for length, _ in sides])
    frame = Frame.around(image.shape[1:], tile)
    padded = frame.filled(image)
    total = torch.zeros_like(padded)
    for tile_ in Tiling.over(padded.shape[1:], tile, overlap).tiles(along=len(sides) - 1):
        total[(slice(None), *tile_.place)] += tile_.of(padded) * outer(tile_.weights)
    torch.testing.assert_close(total[(slice(None), *frame.inside)], image, rtol=1e-4, atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.integers(1, 64), st.floats(0, 0.9))
def test_neighbouring_tiles_overlap_by_at_least_what_was_asked(length, side, overlap):
    length = max(length, side)
    (starts,) = Tiling.over((length,), (side,), overlap).starts
    assert starts[0] == 0
    assert starts[-1] == length - side
    steps = [later - earlier for earlier, later in pairwise(starts)]
    assert all(0 < step <= max(side * (1 - overlap), 1) + 1 for step in steps)


def test_the_middle_of_a_tile_weighs_more_than_its_edge():
    tiling = Tiling.over((48,), (16,), 0.5)
    block = outer(list(tiling.tiles())[2].weights)
    assert block[8] > 0.8
    assert block[0] < 0.05


def test_padding_puts_the_image_in_the_middle_and_zeros_around():
    frame = Frame.around((3, 4), (8, 4))
    padded = frame.filled(torch.ones(1, 3, 4))
    assert padded.shape == (1, *frame.size) == (1, 8, 4)
    assert padded.sum() == 12
    assert frame.inside == (slice(2, 5), slice(0, 4))
    assert torch.equal(padded[(slice(None), *frame.inside)], torch.ones(1, 3, 4))
