"""Outlines of a flat mask, half way between the voxels inside and those outside."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from contourpy import FillType, contour_generator
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Floats = NDArray[np.float64]


def outlines(inside: NDArray[np.bool_]) -> Iterator[Floats]:
    """A closed polygon (points, 2) of (column, row) indices around each piece of (rows, columns).

    The last point is joined to the first. Holes are keyholes (PS3.3 C.8.8.6.3): the polygon goes to the hole, around it
    and back the same way, so that readers that fill by even and odd, by winding, or each polygon by itself agree on
    every voxel's centre.
    """
    padded = np.pad(inside.astype(np.float64), 1)
    drawn = contour_generator(z=padded, fill_type=FillType.OuterOffset).filled(0.5, 1.5)
    for points, offsets in zip(*drawn, strict=True):
        rings = [_corners(points[a : b - 1]) for a, b in pairwise(offsets)]
        yield _keyholed(rings) - 1.0


def _corners(ring: Floats) -> Floats:
    """The points where a closed line turns."""
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    turns = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    return np.asarray(ring[turns])


def _keyholed(rings: list[Floats]) -> Floats:
    """The outer ring with a way from its nearest point to each hole, around it, and back."""
    outer, *holes = rings
    if not holes:
        return outer
    _, nearest = cKDTree(outer).query([hole[0] for hole in holes])
    parts, done = list[Floats](), 0
    for hole in np.argsort(nearest, kind="stable"):
        at = int(nearest[hole])
        parts += [outer[done : at + 1], holes[hole], holes[hole][:1], outer[at : at + 1]]
        done = at + 1
    return np.concatenate([*parts, outer[done:]])
