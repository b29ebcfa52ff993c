"""What of a scan is not empty background."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Box = tuple[slice, slice, slice]


def content(voxels: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where any channel of (C, X, Y, Z) differs from its background, as (X, Y, Z).

    A channel has a background when most of the scan's outer faces hold its smallest value exactly: zeros around a
    skull-stripped brain, the same after normalising, the padding of a reconstruction. Without one, all is content.
    """
    where: NDArray[np.bool_] = np.logical_or.reduce([channel != _background(channel) for channel in voxels])
    return where


def content_box(voxels: NDArray[np.float32]) -> Box:
    """The smallest box that holds all content of (C, X, Y, Z); the whole scan when there is none."""
    where = content(voxels)
    if not where.any():
        where = np.ones_like(where)
    ends = []
    for axis in range(3):
        at = np.flatnonzero(where.any(axis=tuple({0, 1, 2} - {axis})))
        ends.append(slice(int(at[0]), int(at[-1]) + 1))
    return ends[0], ends[1], ends[2]


def _background(channel: NDArray[np.float32]) -> float:
    smallest = float(channel.min())
    faces = [np.take(channel, end, axis) == smallest for axis in range(3) if channel.shape[axis] > 1 for end in (0, -1)]
    empty = np.concatenate([face.ravel() for face in faces]) if faces else np.zeros(1, bool)
    return smallest if empty.mean() > 0.5 else np.nan
