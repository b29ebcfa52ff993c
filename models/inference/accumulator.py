"""Where tiles blend: only the rows that tiles still reach are held.

Tiles come in the order of one axis. A row that no later tile reaches is final and can leave, so that scores of a whole
body take the memory of one layer of tiles. Where that is little, more rows are held, and tiles of several layers share
a batch.
"""

from __future__ import annotations

from math import prod
from typing import TypeVar

import torch
from torch import Tensor

from skipseg.models.inference.tiles import Tile, Tiling, outer

Part = TypeVar("Part")

HELD_BYTES = 2**28  # of scores; more are only held when one layer of tiles needs more


class Accumulator:
    """Scores (rows, classes, others) of the rows ``base`` to ``base + rows`` along an axis; float32."""

    def __init__(self, tiling: Tiling, along: int, classes: int, device: torch.device, margin: int = 0) -> None:
        self.along, self.base = along, 0
        others = [length for axis, length in enumerate(tiling.size) if axis != along]
        self.rows = rows_held(tiling, along, classes, margin)
        self.scores = torch.zeros(self.rows, classes, *others, device=device)

    def holds(self, tile: Tile) -> bool:
        """Whether there is room for a tile before rows have left."""
        return bool(tile.place[self.along].stop <= self.base + self.rows)

    def add(self, tile: Tile, logits: Tensor) -> None:
        """Blend in logits (classes, *tile)."""
        rows, *others = self._rows_first(tile.place)
        target = self.scores[rows.start - self.base : rows.stop - self.base, :, *others]
        weights = outer(self._rows_first(tile.weights))
        target.addcmul_(logits.movedim(self.along + 1, 0), weights.unsqueeze(1))

    def between(self, start: int, stop: int) -> Tensor:
        """The scores (classes, X, Y, Z) of some rows, not copied."""
        return self.scores[start - self.base : stop - self.base].movedim(0, self.along + 1)

    def forget(self, before: int) -> None:
        """Let go of rows, and make room for as many."""
        gone, kept = before - self.base, self.rows - (before - self.base)
        for start in range(0, kept if gone else 0, max(gone, 1)):  # never onto what is still to be moved
            stop = min(start + gone, kept)
            self.scores[start:stop].copy_(self.scores[start + gone : stop + gone])
        self.scores[kept:].zero_()
        self.base = before

    def _rows_first(self, per_axis: tuple[Part, ...]) -> tuple[Part, ...]:
        return (per_axis[self.along], *(part for axis, part in enumerate(per_axis) if axis != self.along))


def best_axis(tiling: Tiling) -> int:
    """The one along which a layer of tiles holds the smallest share of the volume."""
    return min(range(len(tiling.size)), key=lambda axis: tiling.tile[axis] / tiling.size[axis])


def rows_held(tiling: Tiling, along: int, classes: int, margin: int) -> int:
    """All of them when they are few; else those of a layer of tiles, and a ``margin`` that sinks look back at."""
    row_bytes = 4 * classes * prod(tiling.size) // tiling.size[along]
    return min(max(HELD_BYTES // row_bytes, tiling.tile[along] + margin), tiling.size[along])
