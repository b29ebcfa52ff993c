"""What of a scan is not empty background."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Box = tuple[slice, slice, slice]


def content(voxels: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where any channel of a whole scan (C, X, Y, Z) differs from its background, as (X, Y, Z).

    A channel has a background when most of the scan's outer faces hold its smallest value exactly, or its largest:
    zeros around a skull-stripped brain, the same after normalising, the padding of a reconstruction, the white around
    a slide. Without one, all is content. A part of a scan has other faces: ask for the whole, then cut.
    """
    where = np.zeros(voxels.shape[1:], dtype=np.bool_)
    for channel in voxels:
        where |= channel != _background(channel)
    return where


def box_of(where: NDArray[np.bool_]) -> Box:
    """The smallest box that holds all that is true in (X, Y, Z); all of it when nothing is."""
    ends = []
    for axis in range(3):
        at = np.flatnonzero(where.any(axis=tuple({0, 1, 2} - {axis})))
        ends.append(slice(int(at[0]), int(at[-1]) + 1) if len(at) else slice(0, where.shape[axis]))
    return ends[0], ends[1], ends[2]


def content_box(voxels: NDArray[np.float32]) -> Box:
    """The smallest box that holds all content of (C, X, Y, Z); the whole scan when there is none."""
    return box_of(content(voxels))


def _background(channel: NDArray[np.float32]) -> float:
    """The value of the background; NaN, which no voxel equals, when there is none."""
    ends = [np.take(channel, end, axis).ravel() for axis in range(3) if channel.shape[axis] > 1 for end in (0, -1)]
    faces = np.concatenate(ends) if ends else channel.ravel()[:0]
    for value in (float(channel.min()), float(channel.max())):
        if len(faces) and (faces == value).mean() > 0.5:
            return value
    return np.nan
