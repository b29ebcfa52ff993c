"""How much of a label is left on a coarser grid: what decides whether a network may look at less than every voxel."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import find_objects

COARSER = (2, 4)  # times the voxel's size
COARSE_AXIS = 2.0  # an axis whose voxels are this much longer than the shortest is left as it is
SHORT_AXIS = 4.0  # times fewer voxels than along the next one: its voxels are longer, if no header says how long

Counts = NDArray[np.int64]  # (labels, len(COARSER), 2): voxels that stay right, doubled, and all to compare them with


def coarsened(classes: NDArray[np.integer], spacing: Sequence[float], values: Sequence[int]) -> Counts:
    """What blocks of voxels keep of each of ``values`` in (X, Y, Z), where the majority of a block decides for it all.

    Sums of several cases divide into the Dice of what is left with what was there.
    """
    boxes = [tuple(slice(0, length) for length in classes.shape), *find_objects(classes, max(values))]
    counts = np.zeros((len(values), len(COARSER), 2), dtype=np.int64)
    for row, value in enumerate(values):
        for column, factor in enumerate(COARSER):
            if boxes[value] is not None:
                step = coarser_steps(classes.shape, spacing, factor)
                counts[row, column] = _kept(classes, boxes[value], value, step)
    return counts


def kept(counts: Counts) -> NDArray[np.float64]:
    """Dice (labels, len(COARSER)) of summed counts; 1 for a label that never occurs."""
    right, all_ = counts[..., 0], counts[..., 1]
    return np.where(all_ > 0, right / np.maximum(all_, 1), 1.0)


def coarser_steps(shape: Sequence[float], spacing: Sequence[float], factor: int) -> tuple[int, ...]:
    """The factor for the axes that are fine; 1 for those that are coarse already, or a single voxel."""
    finest = min((mm for mm, side in zip(spacing, shape, strict=True) if side > 1), default=1.0)
    return tuple(
        factor if side > 1 and mm < COARSE_AXIS * finest else 1 for mm, side in zip(spacing, shape, strict=True)
    )


def likely_spacing(shape: Sequence[float]) -> tuple[float, ...]:
    """Relative lengths of a voxel where no header says them: one axis of few slices has thick ones.

    Scans are about as long as wide, give or take a factor of two, so 320 x 320 x 20 voxels are taken as 1 x 1 x 8.
    """
    sides = sorted(side for side in shape if side > 1)
    if len(sides) < 3 or sides[1] < SHORT_AXIS * sides[0]:
        return (1.0,) * len(shape)
    return tuple(sides[1] / (2 * side) if side == sides[0] else 1.0 for side in shape)


def _kept(classes: NDArray[np.integer], box: tuple[slice, ...], value: int, step: Sequence[int]) -> tuple[int, int]:
    whole = tuple(slice(side.start // by * by, side.stop) for side, by in zip(box, step, strict=True))
    mask = classes[whole] == value
    padded = np.pad(mask, [(0, -side % by) for side, by in zip(mask.shape, step, strict=True)])
    blocks = padded.reshape([n for side, by in zip(padded.shape, step, strict=True) for n in (side // by, by)])
    inside = blocks.sum(axis=(1, 3, 5), dtype=np.int32)
    won = 2 * inside >= prod(step)
    return 2 * int(inside[won].sum()), int(won.sum()) * prod(step) + int(inside.sum())
