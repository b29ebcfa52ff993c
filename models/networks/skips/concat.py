"""Features side by side."""

from __future__ import annotations

import torch
from torch import Tensor

from skipseg.models.networks.skips.join import Join


class Concat(Join, name="concat"):
    """Encoder-decoder skip concatenation (Ronneberger 2015): the next convolution decides what of it is used."""

    def forward(self, up: Tensor, across: Tensor) -> Tensor:
        return torch.cat([up, across], dim=1)
