"""How much memory a scan will take on its way, told before it takes any."""

from __future__ import annotations

from math import prod

from skipseg.models.inference.accumulator import best_axis, rows_held
from skipseg.models.inference.flight import Way
from skipseg.models.inference.restore import ClassIndices
from skipseg.models.inference.tiles import Tiling
from skipseg.models.inference.wishes import AS_PLANNED, Wishes
from skipseg.models.preprocess import Placement

CLEANING = 17  # bytes a voxel that telling pieces and holes apart takes: their numbers, counts of them, masks


def foresee(placement: Placement, way: Way, channels: int, wishes: Wishes = AS_PLANNED, cleans: bool = False) -> int:
    """Bytes that a scan with this placement holds at most: itself, network input, scores, labels, what is wished,
    and, where the plan ``cleans``, its pieces.

    What the network needs for a batch of tiles comes on top; that is the same for every scan.
    """
    size = [max(length, side) for length, side in zip(placement.grid, way.tile, strict=True)]
    tiling = Tiling.over(size, way.tile, way.overlap)
    along = best_axis(tiling)
    rows = rows_held(tiling, along, way.classes, ClassIndices(placement).margin(along))
    scan = prod(placement.geometry.shape)
    box = prod(placement.box_shape)
    # resampling holds what came, what goes, and a part of it that it adds, each as large as the larger of the two
    image = prod(size) + (3 * max(box, prod(placement.grid)) if placement.grid != placement.box_shape else box)
    scores = way.classes * rows * prod(size) // size[along]
    whole = scan if wishes.roi is not None else 0  # normalised before the roi is cut out
    labels = (scan + 2 * box) * (1 if way.classes <= 256 else 2) + (CLEANING * scan if cleans else 0)
    return 4 * (channels * (scan + image + whole) + scores) + labels + scan * _bytes_a_voxel(way.classes, wishes)


def _bytes_a_voxel(classes: int, wishes: Wishes) -> int:
    """Of what is wished beside labels."""
    probabilities = {None: 0, "uint8": classes, "float16": 2 * classes}[wishes.probabilities]
    return probabilities + (2 if wishes.uncertainty else 0)
