"""Features across the U, let through where those from below find them of use."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skipseg.models.networks.kit import Kit
from skipseg.models.networks.skips.join import Join


class AttentionGate(Join, name="attention"):
    """Additive attention (Oktay 2018, Figure 2): a share between 0 and 1 for every voxel, then side by side.

    The gating signal is taken after it came up, on the grid of what it gates.
    """

    def __init__(self, kit: Kit, up: int, across: int) -> None:
        super().__init__(kit, up, across)
        inside = max(across // 2, 1)
        self.gating = nn.Sequential(kit.pointwise(up, inside), kit.normed(inside))
        self.gated = nn.Sequential(kit.pointwise(across, inside), kit.normed(inside))
        self.share = nn.Sequential(nn.ReLU(inplace=True), kit.head(inside, 1, kit.each(1)), nn.Sigmoid())

    def forward(self, up: Tensor, across: Tensor) -> Tensor:
        return torch.cat([up, across * self.share(self.gating(up) + self.gated(across))], dim=1)
