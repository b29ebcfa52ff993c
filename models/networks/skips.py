"""Joins: how features that skipped across the U meet those that came up through the decoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Concat(nn.Module):
    """Encoder-decoder skip concatenation (Ronneberger 2015): features side by side, the next convolution decides."""

    def forward(
        self, up: Tensor, across: Tensor
    ) -> Tensor:  # (N, u, *spatial), (N, a, *spatial) -> (N, u + a, *spatial)
        return torch.cat([fit(up, across), across], dim=1)

    @staticmethod
    def width(up: int, across: int) -> int:
        """Features after the join."""
        return up + across


def fit(up: Tensor, across: Tensor) -> Tensor:
    """``up`` cut to the size of ``across``: upsampling an odd size gives one voxel too many."""
    if up.shape[2:] == across.shape[2:]:
        return up
    for axis, size in enumerate(across.shape[2:], start=2):
        up = up.narrow(axis, 0, size)
    return up
