"""torch as it is, operation by operation: the reference, and what is left when nothing faster can be trusted."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skipseg.models.precision import Precision, autocast


class Eager:
    """The network itself, which moves to the device."""

    name: str = "torch"

    def __init__(self, network: nn.Module, device: torch.device, precision: Precision, batch: int = 1) -> None:
        self.network = network.to(device)
        self.device = device
        self.precision = precision
        self.batch = batch

    @torch.inference_mode()
    def __call__(self, tiles: Tensor) -> Tensor:
        with autocast(self.device, self.precision):
            logits: Tensor = self.network(tiles)
        return logits.float()
