"""What every backend is: a network made ready on a device for tiles of one shape."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from skipseg.models.precision import Precision


class Backend(Protocol):
    """Tiles (N, channels, *tile), at most ``batch`` of them, to fp32 logits (N, classes, *tile); both on ``device``.

    One thread at a time calls it. The answer may lie in memory that the next call writes to again.
    """

    name: str  # "torch", "openvino", "cuda graph"
    precision: Precision  # what it multiplies in
    device: torch.device
    batch: int  # may be lowered by who runs out of memory

    def __call__(self, tiles: Tensor) -> Tensor: ...


class Unusable(Exception):
    """This network, or this machine, cannot be served by the backend asked for; the message says why."""
