"""From scores on the network's grid to labels on the scan's own: the exact way back of ``preprocess``.

Scores are interpolated onto the turned and cropped scan, the largest wins, and crop and turn are undone, so that every
voxel of the scan gets exactly one label and the grid of the mask is the grid of the scan.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skipseg.models.inference.slab import Slab
from skipseg.models.preprocess import Placement
from skipseg.models.resample import Rows, first_row_for, resample_rows, rows_made_of, rows_reached

PIECE_VALUES = 2**23  # interpolated at once, of all classes together, one after the other


class OnTheScan:
    """A sink that makes rows of the box on the scan's grid as soon as all scores for them are there; see ``make``."""

    def __init__(self, placement: Placement) -> None:
        self.placement = placement
        self.keeps = 0
        self._made = 0  # rows of the box that are done

    def margin(self, along: int) -> int:
        return rows_reached(self.placement.grid[along], self.placement.box_shape[along])

    def take(self, slab: Slab) -> Iterator[None]:
        shape = self.placement.box_shape
        came, goes = slab.of, shape[slab.along]
        ready = rows_made_of(came, goes, slab.stop)
        step = max(PIECE_VALUES * goes // (len(slab.scores) * prod(shape)), 1)
        for start in range(self._made, ready, step):
            self.make(slab, Rows(came, goes, start, min(start + step, ready), slab.start))
            yield
        self._made = ready
        self.keeps = min(first_row_for(came, goes, ready), slab.stop)

    def make(self, slab: Slab, rows: Rows) -> None:
        """Make some rows of the box, of scores that are still to be interpolated."""
        raise NotImplementedError

    def interpolated(self, slab: Slab, rows: Rows, index: int) -> Tensor:
        """The scores (X, Y, Z) of one class on rows of the box."""
        return resample_rows(slab.scores[index : index + 1], self.placement.box_shape, slab.along, rows)[0]


class ClassIndices(OnTheScan):
    """A sink: class indices on the scan's grid, of scores that come row by row."""

    _box: Tensor | None = None

    def make(self, slab: Slab, rows: Rows) -> None:
        """The class of the largest score, class by class: never all classes at full size."""
        if self._box is None:
            kind = torch.uint8 if len(slab.scores) <= 256 else torch.int32
            self._box = torch.zeros(self.placement.box_shape, dtype=kind, device=slab.scores.device)
        winner = self._box.narrow(slab.along, rows.start, len(rows.wanted))
        best = self.interpolated(slab, rows, 0).clone()
        for index in range(1, len(slab.scores)):
            score = self.interpolated(slab, rows, index)
            winner.masked_fill_(score > best, index)
            torch.maximum(best, score, out=best)

    def result(self) -> NDArray[np.unsignedinteger]:
        """Class indices (X, Y, Z) of the whole scan; outside the box that the network saw they are 0."""
        assert self._box is not None
        kind = np.uint8 if self._box.dtype == torch.uint8 else np.uint16
        inside = self._box.cpu().numpy().astype(kind, copy=False)
        turned_shape = self.placement.turn.moved(self.placement.geometry.shape)
        if inside.shape != turned_shape:
            turned = np.zeros(turned_shape, dtype=kind)
            turned[self.placement.box] = inside
            inside = turned
        return np.ascontiguousarray(self.placement.turn.undo(inside))


def restore(scores: Tensor, placement: Placement) -> NDArray[np.unsignedinteger]:
    """Class scores (classes, *network grid) to class indices (X, Y, Z) on the scan's own grid, at once."""
    labels = ClassIndices(placement)
    for _ in labels.take(Slab(scores, 0, 0, scores.shape[1], scores.shape[1])):
        pass
    return labels.result()
