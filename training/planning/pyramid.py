"""Shapes of a network: its patch, and where it halves which axis."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, prod

from skipseg.models.errors import PlanError

SMALLEST_BOTTOM = 4  # voxels per axis that the coarsest resolution keeps (Isensee 2021)
ANISOTROPIC = 2.0  # an axis this much coarser than the finest is neither pooled nor convolved along yet

Steps = tuple[int, ...]


def shortened(shape: Sequence[float], millimetres: Sequence[float], voxels: float) -> list[float]:
    """The median scan, its longest sides (in mm) shortened until at most ``voxels`` are left."""
    sides = [max(float(side), 1.0) for side in shape]
    while prod(sides) > voxels:
        longest = max(range(len(sides)), key=lambda axis: sides[axis] * millimetres[axis] if sides[axis] > 1 else 0)
        sides[longest] = max(sides[longest] * 0.97, 1.0)
    return sides


def pyramid(
    patch: Sequence[float], millimetres: Sequence[float], most: int, stem: Steps | None = None
) -> tuple[list[Steps], list[Steps]]:
    """Strides and kernels per resolution: halve an axis while it is long and not much coarser than the others.

    The first stride is the ``stem``'s. Raises ``PlanError`` for patches too small to be halved once.
    """
    first = stem or (1,) * len(patch)
    strides, kernels = [first], [_kernel(millimetres, patch)]
    sides = [side / step for side, step in zip(patch, first, strict=True)]
    lengths = [mm * step for mm, step in zip(millimetres, first, strict=True)]
    while len(strides) < most:
        stride = _halved(sides, lengths)
        if not any(step > 1 for step in stride):
            break
        sides = [side / step for side, step in zip(sides, stride, strict=True)]
        lengths = [mm * step for mm, step in zip(lengths, stride, strict=True)]
        strides.append(stride)
        kernels.append(_kernel(lengths, sides))
    if len(strides) == 1:
        raise PlanError(
            f"scans of {[round(side) for side in patch]} voxels are too small for a U-Net; "
            "at least 8 along one axis are needed"
        )
    return strides, kernels


def kernels_for(strides: Sequence[Steps], patch: Sequence[float], millimetres: Sequence[float]) -> list[Steps]:
    """Kernels that suit strides somebody chose."""
    sides, lengths, kernels = list(patch), list(millimetres), []
    for place, stride in enumerate(strides):
        if place == 0:
            kernels.append(_kernel(lengths, sides))
        sides = [side / step for side, step in zip(sides, stride, strict=True)]
        lengths = [mm * step for mm, step in zip(lengths, stride, strict=True)]
        if place > 0:
            kernels.append(_kernel(lengths, sides))
    return kernels


def divisors(strides: Sequence[Steps]) -> Steps:
    """What the whole pyramid divides each axis by."""
    return tuple(prod(steps) for steps in zip(*strides, strict=True))


def whole(patch: Sequence[float], steps: Steps) -> Steps:
    """The patch rounded up to multiples of ``steps``."""
    return tuple(max(ceil(side / step), 1) * step for side, step in zip(patch, steps, strict=True))


def _halved(sides: Sequence[float], millimetres: Sequence[float]) -> Steps:
    long = [side >= 2 * SMALLEST_BOTTOM for side in sides]
    finest = min((mm for mm, enough in zip(millimetres, long, strict=True) if enough), default=0.0)
    return tuple(2 if enough and mm < ANISOTROPIC * finest else 1 for mm, enough in zip(millimetres, long, strict=True))


def _kernel(millimetres: Sequence[float], sides: Sequence[float]) -> Steps:
    finest = min(millimetres)
    return tuple(
        3 if mm < ANISOTROPIC * finest and side > 1 else 1 for mm, side in zip(millimetres, sides, strict=True)
    )
