"""Features on top of one another."""

from __future__ import annotations

from torch import Tensor, nn

from skipseg.models.networks.kit import Kit
from skipseg.models.networks.skips.join import Join


class Add(Join, name="add"):
    """The sum (as in LinkNet, Chaurasia 2017): half as many features for the next convolution as side by side."""

    def __init__(self, kit: Kit, up: int, across: int) -> None:
        super().__init__(kit, up, across)
        self.width = up
        self.project = nn.Identity() if across == up else kit.pointwise(across, up)

    def forward(self, up: Tensor, across: Tensor) -> Tensor:
        added: Tensor = up + self.project(across)
        return added
