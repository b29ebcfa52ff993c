"""No skip at all."""

from __future__ import annotations

from torch import Tensor

from skipseg.models.networks.kit import Kit
from skipseg.models.networks.skips.join import Join


class Cut(Join, name="none"):
    """What came across is dropped: the decoder knows of the scan only what passed the bottom of the U."""

    def __init__(self, kit: Kit, up: int, across: int) -> None:
        super().__init__(kit, up, across)
        self.width = up

    def forward(self, up: Tensor, across: Tensor) -> Tensor:
        return up
