"""Resampling keeps places, values and symmetry."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from skipseg.models.resample import Rows, first_row_for, resample, resample_rows, rows_made_of

SHAPES = st.tuples(*[st.integers(1, 24)] * 3)


@settings(max_examples=40, deadline=None)
@given(SHAPES, SHAPES)
def test_a_constant_stays_constant_and_flips_pass_through(came, goes):
    image = torch.randn(2, *came)
    torch.testing.assert_close(resample(torch.full((1, *came), 3.0), goes), torch.full((1, *goes), 3.0))
    flipped = resample(image.flip(1, 2, 3), goes).flip(1, 2, 3)
    torch.testing.assert_close(resample(image, goes), flipped, rtol=1e-4, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(SHAPES, SHAPES)
def test_enlarging_is_trilinear_interpolation(came, more):
    goes = [side + extra for side, extra in zip(came, more, strict=True)]
    image = torch.randn(1, *came)
    expected = functional.interpolate(image[None], size=goes, mode="trilinear", align_corners=False)[0]
    torch.testing.assert_close(resample(image, goes), expected, rtol=1e-4, atol=1e-5)


def test_shrinking_averages_instead_of_skipping():
    stripes = torch.arange(64).remainder(2).float().expand(1, 1, 1, 64)
    assert torch.allclose(resample(stripes, (1, 1, 16))[..., 1:-1], torch.tensor(0.5), atol=1e-4)


def test_a_ramp_in_millimetres_stays_that_ramp():
    centres = (torch.arange(40) + 0.5) * 1.5
    finer = resample(centres.view(1, 40, 1, 1), (60, 1, 1))[0, :, 0, 0]
    assert torch.allclose(finer[1:-1], (torch.arange(60) + 0.5)[1:-1], atol=1e-3)


@settings(max_examples=60, deadline=None)
@given(SHAPES, SHAPES, st.sampled_from([0, 1, 2]), st.data())
def test_rows_come_out_of_a_part_as_out_of_the_whole(came, goes, axis, data):
    image, rows, all_rows = torch.randn(2, *came), came[axis], goes[axis]
    stop = data.draw(st.integers(1, rows), "rows that are there")
    ready = rows_made_of(rows, all_rows, stop)
    assert ready == all_rows or stop < rows
    start = data.draw(st.integers(0, ready), "rows that were made before")
    first = min(first_row_for(rows, all_rows, start), stop - 1)
    assert stop - first <= rows or first == 0
    part = image.narrow(axis + 1, first, stop - first)
    if start < ready:
        made = resample_rows(part, goes, axis, Rows(rows, all_rows, start, ready, first))
        torch.testing.assert_close(made, resample(image, goes).narrow(axis + 1, start, ready - start))
