"""From planes to a regular grid, or to the reason why there is none: nothing is guessed.

Slices are sorted by their place along the normal. The grid's third step is fitted to all of them, so that every corner
lies within 0.01 mm of where its header puts it; what does not fit that is named, in mm along the normal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import asin, degrees

import numpy as np
from numpy.typing import NDArray

from skipseg.models.errors import ScanUnusable
from skipseg.models.scans.dicom.planes import TOLERANCE_MM, Plane, Vector
from skipseg.models.scans.geometry import Geometry, Shape

TILT = 1e-3  # of a step: more leads away from the normal, and is no rounding
MOST_TOLD = 8
_LPS_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_ASK = "ask for geometry=resample, which interpolates onto a regular grid and says so"


@dataclass(frozen=True, eq=False)
class Stack:
    """Planes of one size and orientation, sorted along their normal; ``heights`` are their places on it, in mm."""

    planes: tuple[Plane, ...]
    heights: Vector

    @property
    def positions(self) -> Vector:
        return np.array([plane.position for plane in self.planes])

    @property
    def lateral(self) -> Vector:
        """Where each plane's first pixel lies across the normal, from the first plane's: along the row, the column."""
        first, away = self.planes[0], self.positions - self.planes[0].position
        return np.stack([away @ first.along_row, away @ first.along_column], axis=1)


def stacked(planes: Sequence[Plane]) -> Stack:
    """The planes, sorted. Raises ``ScanUnusable`` when they differ in size, orientation or frame of reference."""
    normal = planes[0].normal
    heights = np.array([plane.position @ normal for plane in planes])
    odd = [height for plane, height in zip(planes, heights, strict=True) if not plane.lies_as(planes[0])]
    if odd:
        raise ScanUnusable(
            f"all slices of a series must have one size, orientation and frame of reference; {len(odd)} of "
            f"{len(planes)} differ from the first, at {listed(odd)} mm along its normal; send one stack of them alone"
        )
    order = np.argsort(heights, kind="stable")
    return Stack(tuple(planes[number] for number in order), heights[order])


def twins(stack: Stack) -> list[tuple[int, int]]:
    """Pairs of neighbours that lie in one place."""
    close = np.flatnonzero(np.diff(stack.heights) <= TOLERANCE_MM)
    return [(int(first), int(first) + 1) for first in close]


def without(stack: Stack, dropped: set[int]) -> Stack:
    kept = [number for number in range(len(stack.planes)) if number not in dropped]
    return Stack(tuple(stack.planes[number] for number in kept), stack.heights[kept])


def geometry_of(stack: Stack) -> Geometry:
    """The grid that all planes lie on, in RAS mm. Raises ``ScanUnusable`` when there is none."""
    step, first = _step(stack)
    check_step(stack)
    rows, columns = stack.planes[0].shape
    return grid(stack.planes[0], first, step, (columns, rows, len(stack.planes)))


def grid(plane: Plane, first: Vector, step: Vector, shape: Shape) -> Geometry:
    """Planes that lie as this one does, from ``first`` on, a ``step`` apart; ``shape`` in columns, rows, planes."""
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = plane.along_row * plane.spacing[0], plane.along_column * plane.spacing[1]
    affine[:3, 2], affine[:3, 3] = step, first
    return Geometry(shape, _LPS_RAS @ affine)


def check_step(stack: Stack) -> None:
    """Raise ``ScanUnusable`` for a tilt, a gap and uneven spacing, in words that name the places."""
    if problem := irregularity(stack):
        raise ScanUnusable(f"{problem}; send the whole series as it was stored, or {_ASK}")


def irregularity(stack: Stack) -> str | None:
    """In words: why the planes lie on no regular grid; None when they do."""
    return " and ".join(filter(None, [tilt(stack), unevenness(stack)])) or None


def tilt(stack: Stack) -> str | None:
    """In words: that slices are shifted against each other, as a tilted gantry does; None when they are not."""
    away, height = stack.lateral, stack.heights - stack.heights[0]
    shift, long = float(np.linalg.norm(away, axis=1).max()), float(height[-1])
    if shift <= max(TOLERANCE_MM, TILT * long):
        return None
    angle = degrees(asin(min(1.0, shift / float(np.hypot(shift, long)))))
    return (
        f"slices are shifted against each other by up to {shift:.2f} mm between {stack.heights[0]:.2f} and "
        f"{stack.heights[-1]:.2f} mm (a gantry tilt of {angle:.2f} degrees)"
    )


def unevenness(stack: Stack) -> str | None:
    """In words: where slices are missing or unevenly spaced; None when they are even."""
    step, first = _step(stack)
    fitted = first + np.arange(len(stack.planes))[:, None] * step
    if np.linalg.norm(stack.positions - fitted, axis=1).max() <= TOLERANCE_MM:
        return None
    apart, usual = np.diff(stack.heights), float(np.median(np.diff(stack.heights)))
    wide = np.flatnonzero(np.abs(apart - usual) > TOLERANCE_MM)
    if all(round(apart[at] / usual) >= 2 for at in wide) and len(wide):
        between = [f"{stack.heights[at]:.2f} and {stack.heights[at + 1]:.2f}" for at in wide[:MOST_TOLD]]
        return f"slices are missing: they lie {usual:.4g} mm apart, but not between {', '.join(between)} mm"
    return f"slices are unevenly spaced, {apart.min():.4g} to {apart.max():.4g} mm apart: at {listed(stack.heights)} mm"


def _step(stack: Stack) -> tuple[Vector, Vector]:
    """The step and the start that fit all positions best; of a slice alone its thickness along the normal."""
    count, positions = len(stack.planes), stack.positions
    if count == 1:
        plane = stack.planes[0]
        if plane.thickness is None:
            raise ScanUnusable("a slice alone must tell its thickness (SliceThickness); send the original series")
        return plane.normal * plane.thickness, plane.position
    places = np.arange(count) - (count - 1) / 2
    step = places @ positions / (places @ places)
    return step, positions.mean(axis=0) - step * (count - 1) / 2


def listed(heights: Sequence[float] | NDArray[np.float64]) -> str:
    """The first of them, and the last."""
    told = ", ".join(f"{height:.2f}" for height in heights[:MOST_TOLD])
    return f"{told}, ... {heights[-1]:.2f}" if len(heights) > MOST_TOLD else told
