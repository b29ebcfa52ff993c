"""Linear resampling between grids that share their outer edges.

Along each axis output voxel ``o`` is centred at ``(o + 0.5) * in / out - 0.5`` input voxels, so both grids cover the
same millimetres. Enlarging is linear interpolation; shrinking widens the triangle by the ratio, which averages instead
of skipping voxels (no aliasing). A flip of the input gives the flip of the output.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor

import torch
from torch import Tensor


def resample(image: Tensor, shape: Sequence[int]) -> Tensor:
    """Resample (C, X, Y, Z) to (C, *shape)."""
    return _in_turn(image, {axis: Rows(image.shape[axis + 1], length) for axis, length in enumerate(shape)})


@dataclass(frozen=True)
class Rows:
    """Rows ``start`` to ``stop`` of the ``goes`` that ``came`` rows become, made of those from ``first`` on alone."""

    came: int
    goes: int
    start: int = 0
    stop: int | None = None
    first: int = 0

    @property
    def wanted(self) -> range:
        return range(self.start, self.goes if self.stop is None else self.stop)


def resample_rows(image: Tensor, shape: Sequence[int], axis: int, rows: Rows) -> Tensor:
    """Part of a resampled image: rows along ``axis`` (0 to 2), of an image (C, X, Y, Z) that may be a part as well."""
    others = {other: Rows(image.shape[other + 1], shape[other]) for other in {0, 1, 2} - {axis}}
    return _in_turn(image, {axis: rows, **others})


def _in_turn(image: Tensor, ways: dict[int, Rows]) -> Tensor:
    """One axis after the other, those that shrink first: nothing on the way is larger than the image or the result."""
    for axis in sorted(ways, key=lambda axis: len(ways[axis].wanted) / image.shape[axis + 1]):
        image = _along(image, axis + 1, ways[axis])
    return image


def rows_made_of(came: int, goes: int, stop: int) -> int:
    """How many of ``goes`` rows are made of the first ``stop`` of the ``came`` rows alone."""
    if stop >= came:
        return goes
    width = max(came / goes, 1.0)
    return min(max(floor((stop - width + 0.5) * goes / came - 0.5) + 1, 0), goes)


def first_row_for(came: int, goes: int, row: int) -> int:
    """The first of the ``came`` rows that row ``row`` of ``goes`` is made of."""
    return max(floor((row + 0.5) * came / goes - 0.5 - max(came / goes, 1.0)), 0)


def rows_reached(came: int, goes: int) -> int:
    """How many of the ``came`` rows a row of ``goes`` is made of, at most."""
    return 2 * ceil(max(came / goes, 1.0)) + 1


def _along(image: Tensor, axis: int, rows: Rows) -> Tensor:
    wanted = rows.wanted
    if rows.came == rows.goes:
        return image.narrow(axis, wanted.start - rows.first, len(wanted))
    indices, weights = _taps(rows.came, rows.goes, wanted)
    indices = (indices - rows.first).clamp(0, image.shape[axis] - 1)  # what that changes has a weight of zero
    form = [1] * image.ndim
    form[axis] = -1
    total = image.new_zeros(*image.shape[:axis], len(wanted), *image.shape[axis + 1 :])
    for index, weight in zip(indices.to(image.device), weights.to(image), strict=True):
        total.addcmul_(image.index_select(axis, index), weight.view(form))
    return total


def _taps(came: int, goes: int, rows: range) -> tuple[Tensor, Tensor]:
    """Input indices and weights (taps, rows) of the triangle filter; weights sum to one, the edge repeats."""
    width = max(came / goes, 1.0)
    centre = (torch.arange(rows.start, rows.stop, dtype=torch.float64) + 0.5) * came / goes - 0.5
    count = int(2 * width) + 2
    first = torch.floor(centre - width).long() + 1
    indices = first + torch.arange(count - 1)[:, None]
    weights = (1 - (indices - centre).abs() / width).clamp_min(0)
    weights[(indices < 0) | (indices >= came)] = 0
    return indices.clamp(0, came - 1), weights / weights.sum(0)
