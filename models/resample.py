"""Linear resampling between grids that share their outer edges.

Along each axis output voxel ``o`` is centred at ``(o + 0.5) * in / out - 0.5`` input voxels, so both grids cover the
same millimetres. Enlarging is linear interpolation; shrinking widens the triangle by the ratio, which averages instead
of skipping voxels (no aliasing). A flip of the input gives the flip of the output.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def resample(image: Tensor, shape: Sequence[int]) -> Tensor:
    """Resample (C, X, Y, Z) to (C, *shape)."""
    return resample_rows(image, shape, slice(0, shape[0]))


def resample_rows(image: Tensor, shape: Sequence[int], rows: slice) -> Tensor:
    """The part ``[:, rows]`` of ``resample(image, shape)``, touching no more of the image than it needs."""
    for axis, length in enumerate(shape, start=1):
        image = _along(image, axis, length, rows if axis == 1 else slice(0, length))
    return image


def _along(image: Tensor, axis: int, length: int, rows: slice) -> Tensor:
    if image.shape[axis] == length:
        return image.narrow(axis, rows.start, rows.stop - rows.start)
    indices, weights = _taps(image.shape[axis], length, rows)
    form = [1] * image.ndim
    form[axis] = -1
    total = image.new_zeros(*image.shape[:axis], indices.shape[1], *image.shape[axis + 1 :])
    for index, weight in zip(indices.to(image.device), weights.to(image), strict=True):
        total.addcmul_(image.index_select(axis, index), weight.view(form))
    return total


def _taps(came: int, goes: int, rows: slice) -> tuple[Tensor, Tensor]:
    """Input indices and weights (taps, rows) of the triangle filter; weights sum to one, the edge repeats."""
    width = max(came / goes, 1.0)
    centre = (torch.arange(rows.start, rows.stop, dtype=torch.float64) + 0.5) * came / goes - 0.5
    count = int(2 * width) + 2
    first = torch.floor(centre - width).long() + 1
    indices = first + torch.arange(count - 1)[:, None]
    weights = (1 - (indices - centre).abs() / width).clamp_min(0)
    weights[(indices < 0) | (indices >= came)] = 0
    return indices.clamp(0, came - 1), weights / weights.sum(0)
