"""Planes that lie on no regular grid, interpolated onto one, for whoever asks for it.

A tilt is sheared away by shifting each plane across the normal; uneven places along it are interpolated between the
two planes around. Both are linear. What no plane covers holds the smallest value of the scan.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import shift

from skipseg.models.scans.dicom.grid import Stack, grid, tilt
from skipseg.models.scans.dicom.pixels import values_of
from skipseg.models.scans.dicom.planes import TOLERANCE_MM
from skipseg.models.scans.geometry import Geometry
from skipseg.models.scans.limits import Limits

FINEST = 0.5  # of the usual distance of slices: the new one is no smaller

Plane2D = NDArray[np.float32]


def regridded(stack: Stack, limits: Limits) -> tuple[NDArray[np.float32], Geometry]:
    """Voxels (Z, Y, X) and their grid. Raises ``ScanTooLarge`` before memory is taken, and as ``values_of`` does."""
    canvas = _Canvas.of(stack)
    targets = _targets(stack.heights)
    first = stack.planes[0]
    start = first.position + first.along_row * canvas.left * first.spacing[0]
    start = start + first.along_column * canvas.top * first.spacing[1]
    end = stack.planes[-1].position if canvas.is_straight else first.position + first.normal * np.ptp(stack.heights)
    step = (end - first.position) / (len(targets) - 1)
    rows, columns = canvas.shape
    limits.check_shape((columns, rows, len(targets)))
    geometry = grid(first, start, step, (columns, rows, len(targets)))
    voxels = np.empty((len(targets), rows, columns), np.float32)
    for into, values in zip(voxels, _interpolated(stack, canvas, targets), strict=True):
        into[:] = values
    return voxels, geometry


class _Canvas:
    """What all planes fit on when each is put where it lies across the normal; in pixels from the first plane's."""

    def __init__(self, offsets: NDArray[np.float64], shape: tuple[int, int], fill: float) -> None:
        self.offsets, self.fill = offsets, fill  # (planes, 2): down, across
        self.top, self.left = (floor(low) for low in offsets.min(axis=0))
        bottom, right = (ceil(high) for high in offsets.max(axis=0))
        self.shape = shape[0] + bottom - self.top, shape[1] + right - self.left

    @classmethod
    def of(cls, stack: Stack) -> _Canvas:
        plane = stack.planes[0]
        if tilt(stack) is None:
            return cls(np.zeros((len(stack.planes), 2)), plane.shape, 0.0)
        offsets = stack.lateral[:, ::-1] / np.array(plane.spacing[::-1])
        offsets = np.where(np.abs(offsets - offsets.round()) < 1e-4, offsets.round(), offsets)
        return cls(offsets, plane.shape, min(float(values.min()) for values in values_of(stack.planes)))

    @property
    def is_straight(self) -> bool:
        return not self.offsets.any()

    def put(self, values: Plane2D, number: int) -> Plane2D:
        """A plane on the canvas."""
        if self.is_straight:
            return values
        canvas = np.full(self.shape, self.fill, np.float32)
        whole = np.floor(self.offsets[number]).astype(int)
        top, left = whole[0] - self.top, whole[1] - self.left
        canvas[top : top + values.shape[0], left : left + values.shape[1]] = values
        part = self.offsets[number] - whole
        return canvas if not part.any() else np.asarray(shift(canvas, part, order=1, mode="nearest"))


def _targets(heights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Even places from the first slice to the last, as close as the closest two, within reason."""
    apart = np.diff(heights)
    step = max(float(apart.min()), FINEST * float(np.median(apart)))
    return np.linspace(heights[0], heights[-1], max(round((heights[-1] - heights[0]) / step), 1) + 1)


def _interpolated(stack: Stack, canvas: _Canvas, targets: NDArray[np.float64]) -> Iterator[Plane2D]:
    """A plane for each target; two are in memory at a time."""
    values = (canvas.put(plane, number) for number, plane in enumerate(values_of(stack.planes)))
    below, above, number = next(values), next(values), 1
    for target in targets:
        while target > stack.heights[number] + TOLERANCE_MM and number < len(stack.planes) - 1:
            below, above, number = above, next(values), number + 1
        low, high = stack.heights[number - 1], stack.heights[number]
        if abs(target - low) <= TOLERANCE_MM:
            yield below
        elif abs(target - high) <= TOLERANCE_MM:
            yield above
        else:
            part = np.float32((target - low) / (high - low))
            yield below + part * (above - below)
