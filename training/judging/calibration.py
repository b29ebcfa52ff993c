"""Whether a network's probabilities mean what they say: of voxels it is 80 % sure of, 80 % should be right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from skipseg.models.inference.certainty import slabs
from skipseg.models.preprocess import Placement
from skipseg.models.scans.content import box_of

BINS = 15
MARGIN = 3  # voxels around truth and mask that count: farther away is background that no network doubts


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Bin(_Frozen):
    """The voxels whose largest probability lies within a fifteenth."""

    confidence: float  # the mean of their largest probabilities
    accuracy: float  # the share of them that has the right class
    share: float  # of all voxels counted


class Calibration(_Frozen):
    """Expected calibration error (Guo et al. 2017): the mean gap between confidence and accuracy over all bins."""

    ece: float
    overconfidence: float  # mean confidence less accuracy: above 0, the network is surer than it should be
    bins: tuple[Bin, ...]  # those that hold voxels


@dataclass(frozen=True, eq=False)
class Reliability:
    """Voxels per bin of confidence, and the sums of confidence and of right answers in it, each (BINS,)."""

    voxels: NDArray[np.float64]
    confidence: NDArray[np.float64]
    right: NDArray[np.float64]

    def __add__(self, other: Reliability) -> Reliability:
        return Reliability(self.voxels + other.voxels, self.confidence + other.confidence, self.right + other.right)

    def calibration(self) -> Calibration | None:
        """None when no voxel was counted."""
        total = self.voxels.sum()
        if not total:
            return None
        held = np.flatnonzero(self.voxels)
        return Calibration(
            ece=float(np.abs(self.confidence - self.right).sum() / total),
            overconfidence=float((self.confidence.sum() - self.right.sum()) / total),
            bins=tuple(
                Bin(
                    confidence=float(self.confidence[i] / self.voxels[i]),
                    accuracy=float(self.right[i] / self.voxels[i]),
                    share=float(self.voxels[i] / total),
                )
                for i in held
            ),
        )


def reliability_of(scores: Tensor, found: Tensor, truth: NDArray[np.integer]) -> Reliability:
    """Count the voxels in the box around truth and mask, a few voxels wider.

    ``scores`` (classes, X, Y, Z) are logits, ``found`` (X, Y, Z) their foreground. ``truth`` (X, Y, Z) holds class
    indices on the same grid, and an index beyond the classes for what the network does not know.
    """
    classes = torch.from_numpy(truth.astype(np.int32)).to(scores.device)
    box = _around((found | (classes > 0)).cpu().numpy())
    inside, classes = scores[(slice(None), *box)], classes[box]
    sums, at = torch.zeros(3, BINS, dtype=torch.float64), 0
    for slab in slabs(inside):
        sure, winner = slab.float().softmax(0).max(0)
        right = winner == classes[at : at + slab.shape[1]]
        sums += _histogram(sure.flatten(), right.flatten()).cpu()
        at += slab.shape[1]
    voxels, confidence, correct = sums.numpy()
    return Reliability(voxels, confidence, correct)


def on_networks_grid(classes: NDArray[np.integer], placement: Placement) -> NDArray[np.integer]:
    """Class indices (X, Y, Z) of the scan, each network voxel as the nearest voxel of the scan has it."""
    inside = placement.turn.apply(classes)[placement.box]
    nearest = [
        ((np.arange(goes) + 0.5) * came / goes).astype(np.intp)
        for came, goes in zip(inside.shape, placement.grid, strict=True)
    ]
    return np.asarray(inside[np.ix_(*nearest)])


def _histogram(sure: Tensor, right: Tensor) -> Tensor:
    where = (sure * BINS).long().clamp_(max=BINS - 1)
    weights = (torch.ones_like(sure), sure, right)
    return torch.stack([torch.bincount(where, weight.double(), BINS) for weight in weights])


def _around(counts: NDArray[np.bool_]) -> tuple[slice, ...]:
    """The box around what counts and a margin, as far as there are voxels."""
    sides = zip(box_of(counts), counts.shape, strict=True)
    return tuple(slice(max(side.start - MARGIN, 0), min(side.stop + MARGIN, length)) for side, length in sides)
