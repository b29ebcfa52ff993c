"""Probabilities of all classes on the scan's own grid, as nnU-Net has them: interpolated logits, then softmax."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from skipseg.models.inference.own_grid import OwnGrid
from skipseg.models.inference.wishes import Stored
from skipseg.models.preprocess import Placement
from skipseg.models.scans.maps import Values


class Probabilities(OwnGrid):
    """A sink: float16, or uint8 in steps of 1/255; 1 for the background outside the box that the network saw.

    The class of the largest one is that of the mask, before it is cleaned up: where rounding makes two equal, the
    mask's is one step larger.
    """

    name: ClassVar[str] = "probabilities"

    def __init__(self, placement: Placement, classes: int, stored: Stored) -> None:
        super().__init__(placement, classes, np.uint8 if stored == "uint8" else np.float16)
        self._most = 255 if stored == "uint8" else 1
        self.scale = 1 / self._most

    def empty(self) -> Values:
        """Outside is background."""
        values = super().empty()
        values[0] = self._most
        return values

    def made_of(self, scores: Tensor) -> Tensor:
        wins = scores.argmax(0, keepdim=True)
        shares = scores.softmax(0)
        stored = shares.mul_(255).round_().to(torch.uint8) if self._most == 255 else shares.half()
        steps = stored if self._most == 255 else stored.view(torch.int16)  # whose next number is one more
        most, first = steps.max(0, keepdim=True)
        steps.scatter_(0, wins, torch.where(first == wins, most, most + 1))
        return stored
