"""All scores at once, for those who need them together."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from skipseg.models.inference.slab import Slab


class Whole:
    """A sink that gathers the scores (classes, X, Y, Z) of the network's whole grid."""

    scores: Tensor

    def __init__(self) -> None:
        self.keeps = 0

    def margin(self, along: int) -> int:
        return 0

    def take(self, slab: Slab) -> Iterator[None]:
        axis = slab.along + 1
        if slab.start == 0 and slab.is_last:
            self.scores = slab.scores
        else:
            if self.keeps == 0:
                shape = list(slab.scores.shape)
                shape[axis] = slab.of
                self.scores = torch.empty(shape, device=slab.scores.device)
            fresh = slab.rows(self.keeps, slab.stop)
            self.scores.narrow(axis, self.keeps, slab.stop - self.keeps).copy_(fresh)
        self.keeps = slab.stop
        yield
