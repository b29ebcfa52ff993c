"""What a plan mends in a mask: pieces apart from a label's largest one, and holes in it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, find_objects
from scipy.ndimage import label as components

from skipseg.models.plan import CleanUp
from skipseg.models.trust import ALL_NEIGHBOURS

Classes = NDArray[np.unsignedinteger]


def cleaned(classes: Classes, rules: Mapping[int, CleanUp], voxel_mm3: float) -> Classes:
    """Class indices (X, Y, Z) with the rules of each class kept, its largest piece first; the scan's own grid."""
    mended = classes.copy() if rules else classes
    for index, rule in sorted(rules.items()):
        if rule.keep_largest and (box := _around(mended, index)):
            _keep_largest(mended[box], index)
        if rule.fill_holes_mm3 is not None and (box := _around(mended, index)):
            _fill_holes(mended[box], index, rule.fill_holes_mm3 / voxel_mm3)
    return mended


def _around(classes: Classes, index: int) -> tuple[slice, ...] | None:
    """The box around a class and a voxel more."""
    box = find_objects((classes == index).view(np.uint8))
    return tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in box[0]) if box else None


def _keep_largest(classes: Classes, index: int) -> None:
    """In place; of pieces of one size the first."""
    pieces, count = components(classes == index, ALL_NEIGHBOURS)
    if count > 1:
        largest = np.bincount(pieces.ravel())[1:].argmax() + 1
        classes[(pieces != largest) & (pieces != 0)] = 0


def _fill_holes(classes: Classes, index: int, most_voxels: float) -> None:
    """In place; a hole is background, connected by faces as pieces are by corners too, that only this class touches.

    What reaches a side of ``classes`` is no hole: the class stays a voxel away from it, or the scan ends there.
    """
    holes, count = components(classes == 0)
    fills = np.bincount(holes.ravel(), minlength=count + 1) <= most_voxels * (1 + 1e-6)
    for axis, length in enumerate(classes.shape):
        if length > 1:  # a slice has no side above or below it
            fills[np.take(holes, [0, -1], axis)] = False
    fills[holes[binary_dilation((classes != 0) & (classes != index))]] = False
    fills[0] = False
    classes[fills[holes]] = index
