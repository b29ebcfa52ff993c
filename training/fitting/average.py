"""The running average of weights that is kept as the result: it generalises better than the last step's weights."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class WeightAverage:
    """Exponential moving average of a network's state (Polyak 1992); short at first, so that the start is forgotten."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state: dict[str, Tensor] = {name: values.detach().clone() for name, values in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Move towards the network's weights after step ``step``."""
        keep = min(self.decay, (1 + step) / (10 + step))
        now = network.state_dict()
        averaged = [name for name, values in now.items() if values.is_floating_point()]
        torch._foreach_lerp_([self.state[name] for name in averaged], [now[name] for name in averaged], 1 - keep)
        for name in now.keys() - set(averaged):  # counters and indices
            self.state[name].copy_(now[name])
