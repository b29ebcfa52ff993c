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


class Labels:
    """A sink: class indices on the scan's grid, of scores that come row by row."""

    def __init__(self, placement: Placement) -> None:
        self.placement = placement
        self.keeps = 0
        self._made = 0  # rows of the box that are done
        self._box: Tensor | None = None

    def margin(self, along: int) -> int:
        return rows_reached(self.placement.grid[along], self.placement.box_shape[along])

    def take(self, slab: Slab) -> Iterator[None]:
        shape, classes = self.placement.box_shape, len(slab.scores)
        if self._box is None:
            kind = torch.uint8 if classes <= 256 else torch.int32
            self._box = torch.zeros(shape, dtype=kind, device=slab.scores.device)
        came, goes = slab.of, shape[slab.along]
        ready = rows_made_of(came, goes, slab.stop)
        step = max(PIECE_VALUES * goes // (classes * prod(shape)), 1)
        for start in range(self._made, ready, step):
            rows = Rows(came, goes, start, min(start + step, ready), slab.start)
            piece = self._box.narrow(slab.along, start, len(rows.wanted))
            _largest(slab.scores, shape, slab.along, rows, piece)
            yield
        self._made = ready
        self.keeps = min(first_row_for(came, goes, ready), slab.stop)

    def result(self) -> NDArray[np.unsignedinteger]:
        """Class indices (X, Y, Z) of the whole scan; outside the box that the network saw they are 0."""
        assert self._box is not None
        kind = np.uint8 if self._box.dtype == torch.uint8 else np.uint16
        inside = self._box.cpu().numpy().astype(kind, copy=False)
        turned_shape = self.placement.geometry.turned(self.placement.turn).shape
        if inside.shape != turned_shape:
            turned = np.zeros(turned_shape, dtype=kind)
            turned[self.placement.box] = inside
            inside = turned
        return np.ascontiguousarray(self.placement.turn.undo(inside))


def restore(scores: Tensor, placement: Placement) -> NDArray[np.unsignedinteger]:
    """Class scores (classes, *network grid) to class indices (X, Y, Z) on the scan's own grid, at once."""
    labels = Labels(placement)
    for _ in labels.take(Slab(scores, 0, 0, scores.shape[1], scores.shape[1])):
        pass
    return labels.result()


def _largest(scores: Tensor, shape: tuple[int, int, int], along: int, rows: Rows, winner: Tensor) -> None:
    """The class of the largest interpolated score, class by class: never all classes at full size."""
    best = resample_rows(scores[:1], shape, along, rows)[0].clone()
    for index in range(1, len(scores)):
        score = resample_rows(scores[index : index + 1], shape, along, rows)[0]
        winner.masked_fill_(score > best, index)
        torch.maximum(best, score, out=best)
