"""Numbers on a scan's own grid, filled in row by row as the scores for them come."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from skipseg.models.inference.restore import OnTheScan
from skipseg.models.inference.slab import Slab
from skipseg.models.preprocess import Placement
from skipseg.models.resample import Rows
from skipseg.models.scans.maps import Values


class OwnGrid(OnTheScan):
    """A sink of ``values`` (maps, X, Y, Z) that lie as a NIfTI file has them; they stay off the device."""

    name: ClassVar[str]  # of what it makes, as in a file's name
    scale: float = 1.0  # that one in ``values`` stands for
    values: Values | None = None  # None until the first rows come

    def __init__(self, placement: Placement, maps: int, kind: type[np.float16] | type[np.uint8]) -> None:
        super().__init__(placement)
        self._maps, self._kind = maps, kind

    def make(self, slab: Slab, rows: Rows) -> None:
        if self.values is None:
            self.values = self.empty()
        scores = torch.stack([self.interpolated(slab, rows, index) for index in range(len(slab.scores))])
        box = self.placement.turn.apply(self.values)[(slice(None), *self.placement.box)]  # a view
        place: list[slice] = [slice(None)] * 4
        place[slab.along + 1] = slice(rows.start, rows.start + len(rows.wanted))
        box[tuple(place)] = self.made_of(scores).cpu().numpy()

    def empty(self) -> Values:
        """What voxels have outside the box that the network saw: 0."""
        x, y, z = self.placement.geometry.shape
        return np.zeros((self._maps, z, y, x), self._kind).transpose(0, 3, 2, 1)

    def made_of(self, scores: Tensor) -> Tensor:
        """Values (maps, X, Y, Z) of interpolated scores (classes, X, Y, Z)."""
        raise NotImplementedError
