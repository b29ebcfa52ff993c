"""Norms: features brought to mean 0 and deviation 1, so that no layer drowns another."""

from __future__ import annotations

from math import gcd
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Norm = Literal["instance", "group", "batch", "none"]
MOST_GROUPS = 8


class InstanceNorm2d(nn.InstanceNorm2d):
    """Of (N, C, H, W), each channel of each scan by itself."""

    def forward(self, features: Tensor) -> Tensor:
        return _normalised(features, self.weight, self.bias, self.eps)


class InstanceNorm3d(nn.InstanceNorm3d):
    """Of (N, C, D, H, W), each channel of each scan by itself."""

    def forward(self, features: Tensor) -> Tensor:
        return _normalised(features, self.weight, self.bias, self.eps)


def norm(kind: Norm, dimensions: int, features: int) -> nn.Module:
    """Instance normalisation (Ulyanov 2016) asks for no large batch; of groups of features (Wu 2018) neither; that of a
    batch (Ioffe 2015) does, since it measures all of its scans together."""
    if kind == "instance":
        return (InstanceNorm2d if dimensions == 2 else InstanceNorm3d)(features, affine=True)
    if kind == "group":
        return nn.GroupNorm(gcd(features, MOST_GROUPS), features)
    if kind == "batch":
        return (nn.BatchNorm2d if dimensions == 2 else nn.BatchNorm3d)(features)
    return nn.Identity()


def _normalised(features: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Left where they lie in memory: torch's own brings channels to the front, whence every convolution on a processor
    that wants them last takes them back."""
    if features.device.type != "cpu" or features.stride(1) != 1:
        return functional.instance_norm(features, weight=weight, bias=bias, eps=eps)
    each = [functional.batch_norm(one, None, None, weight, bias, training=True, eps=eps) for one in features.split(1)]
    return each[0] if len(each) == 1 else torch.cat(each)
