"""How sure a network was of a mask, read from its scores before they become labels."""

from __future__ import annotations

from collections.abc import Iterator
from math import log, prod

import torch
from torch import Tensor
from torch.nn import functional

SLAB_VALUES = 2**22  # probabilities held at once: 16 MiB


def foreground(scores: Tensor) -> Tensor:
    """Where the scores (classes, X, Y, Z) are largest for a label, bool (X, Y, Z)."""
    return torch.cat([slab.argmax(0) > 0 for slab in slabs(scores)])


def entropy_of(scores: Tensor, found: Tensor) -> float | None:
    """Mean entropy of the classes' probabilities over the foreground ``found`` and the voxels next to it.

    ``scores`` (classes, X, Y, Z) are logits or logarithms of probabilities. 0 is certain, 1 is a guess among all
    classes; None where no foreground was found. The rim counts because doubt about an outline lies on both sides of it.
    """
    if not found.any():
        return None
    box = _around(found)
    near, inside = _grown(found[box]), scores[(slice(None), *box)]
    total, at = 0.0, 0
    for slab in slabs(inside):
        entropy = torch.special.entr(slab.float().softmax(0)).sum(0)
        total += float(entropy[near[at : at + slab.shape[1]]].sum(dtype=torch.float64))
        at += slab.shape[1]
    return total / int(near.sum()) / log(len(scores))


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
