"""How unsure a network is at each voxel, on the scan's own grid."""

from __future__ import annotations

from math import log
from typing import ClassVar

import numpy as np
from torch import Tensor

from skipseg.models.inference.certainty import entropy
from skipseg.models.inference.own_grid import OwnGrid
from skipseg.models.preprocess import Placement


class Uncertainty(OwnGrid):
    """A sink: the entropy of the classes' probabilities, 0 where certain, 1 for a guess among all classes."""

    name: ClassVar[str] = "uncertainty"

    def __init__(self, placement: Placement) -> None:
        super().__init__(placement, 1, np.float16)

    def made_of(self, scores: Tensor) -> Tensor:
        return (entropy(scores) / log(len(scores))).clamp_(0, 1).half()[None]
