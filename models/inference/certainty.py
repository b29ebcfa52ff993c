"""How sure a network was of a mask, read from its scores before they become labels."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from math import log, prod

import torch
from torch import Tensor
from torch.nn import functional

from skipseg.models.inference.slab import Slab

SLAB_VALUES = 2**22  # probabilities held at once: 16 MiB


class Doubt:
    """A sink: the mean entropy of the classes' probabilities over the foreground and the voxels next to it.

    Scores are logits or logarithms of probabilities. The rim counts because doubt about an outline lies on both sides
    of it.
    """

    def __init__(self) -> None:
        self.keeps = 0
        self._seen, self._total, self._voxels, self._classes = 0, 0.0, 0, 1

    def margin(self, along: int) -> int:
        return 2

    def take(self, slab: Slab) -> Iterator[None]:
        self._classes = len(slab.scores)
        ready = slab.of if slab.is_last else slab.stop - 1  # of which the neighbours are known
        a_row = slab.scores.numel() // (slab.stop - slab.start)
        for start in range(self._seen, ready, max(SLAB_VALUES // a_row, 1)):
            self._add(slab, start, min(start + max(SLAB_VALUES // a_row, 1), ready))
            yield
        self._seen = max(ready, self._seen)
        self.keeps = max(self._seen - 1, 0)

    @property
    def entropy(self) -> float | None:
        """0 is certain, 1 is a guess among all classes; None where no foreground was found."""
        return self._total / self._voxels / log(self._classes) if self._voxels else None

    def _add(self, slab: Slab, start: int, stop: int) -> None:
        before, after = max(start - 1, 0), min(stop + 1, slab.of)
        scores = slab.rows(before, after)
        found = foreground(scores)
        if not found.any():
            return
        box = _around(found)
        near = _grown(found[box])
        low, high = max(start - before, box[slab.along].start), min(stop - before, box[slab.along].stop)
        wanted = (slab.along, low - box[slab.along].start, max(high - low, 0))
        near, inside = near.narrow(*wanted), scores[(slice(None), *box)].movedim(0, -1).narrow(*wanted).movedim(-1, 0)
        self._total += float(entropy(inside)[near].sum(dtype=torch.float64))
        self._voxels += int(near.sum())


def entropy_of(scores: Tensor) -> float | None:
    """What ``Doubt`` makes of scores (classes, X, Y, Z) that are there at once."""
    doubt = Doubt()
    deque(doubt.take(Slab(scores, 0, 0, scores.shape[1], scores.shape[1])), maxlen=0)
    return doubt.entropy


def entropy(scores: Tensor) -> Tensor:
    """Of the classes' probabilities at each voxel, in nats: (classes, X, Y, Z) -> (X, Y, Z)."""
    shares: Tensor = torch.special.entr(scores.float().softmax(0))
    return shares.sum(0)


def foreground(scores: Tensor) -> Tensor:
    """Where the scores (classes, X, Y, Z) are largest for a label, bool (X, Y, Z)."""
    best = scores[1].clone()
    for score in scores[2:]:
        torch.maximum(best, score, out=best)
    return best > scores[0]


def slabs(scores: Tensor) -> Iterator[Tensor]:
    """Views (classes, some of X, Y, Z) in order, so that what is computed of one stays small."""
    rows = max(SLAB_VALUES // (len(scores) * prod(scores.shape[2:])), 1)
    return (scores[:, start : start + rows] for start in range(0, scores.shape[1], rows))


def _around(found: Tensor) -> tuple[slice, ...]:
    """The box around what was found and a voxel more."""
    sides = []
    for axis, length in enumerate(found.shape):
        along = found.amax(dim=[other for other in range(3) if other != axis]).nonzero()
        sides.append(slice(max(int(along[0]) - 1, 0), min(int(along[-1]) + 2, length)))
    return tuple(sides)


def _grown(found: Tensor) -> Tensor:
    """Those voxels and their 26 neighbours; one axis after the other, which is the same and needs a third."""
    grown = found[None, None].to(torch.float16 if found.is_cuda else torch.float32)
    for axis in range(3):
        window = [3 if other == axis else 1 for other in range(3)]
        grown = functional.max_pool3d(grown, window, stride=1, padding=[side // 2 for side in window])
    return grown[0, 0] > 0
