"""Sliding window: where tiles lie, and how their answers blend with one accumulator.

Neighbouring tiles overlap and are blended with Gaussian weights (Isensee 2021). Tile starts form a grid and the
Gaussian is a product over axes, so the sum of all weights at a voxel is a product over axes too. Dividing each axis'
window by its own sum therefore makes the weights of all tiles add up to one everywhere: blending needs no second
accumulator for the normaliser and no division at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil, prod

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Tile:
    """One window of a volume: where it lies, and its blending weights per axis."""

    place: tuple[slice, ...]
    weights: tuple[Tensor, ...]  # their outer product is the weight of each voxel
    mirrored: tuple[int, ...] = ()  # spatial axes that the network is to see reversed

    def of(self, image: Tensor) -> Tensor:
        """What the network sees of an image (C, *spatial)."""
        window = image[(slice(None), *self.place)]
        return window.flip([axis + 1 for axis in self.mirrored]) if self.mirrored else window

    def back(self, logits: Tensor) -> Tensor:
        """Logits (classes, *tile) of what the network saw, the way the volume lies."""
        return logits.flip([axis + 1 for axis in self.mirrored]) if self.mirrored else logits


@dataclass(frozen=True)
class Tiling:
    """Tiles of one size over a volume whose every axis is at least as long as the tile."""

    size: tuple[int, ...]  # of the volume
    tile: tuple[int, ...]
    starts: tuple[tuple[int, ...], ...]  # per axis

    @classmethod
    def over(cls, size: Sequence[int], tile: Sequence[int], overlap: float) -> Tiling:
        """As few tiles as keep ``overlap`` (a share of the tile) between neighbours, evenly spread."""
        starts = tuple(_starts(length, side, overlap) for length, side in zip(size, tile, strict=True))
        return cls(tuple(size), tuple(tile), starts)

    def __len__(self) -> int:
        return prod(len(starts) for starts in self.starts)

    def tiles(self, along: int = 0, device: torch.device | None = None) -> Iterator[Tile]:
        """Every tile, those with the lowest start on the axis ``along`` first; all weights of a voxel sum to one.

        Weights lie on the ``device``, by default the processor.
        """
        weights = [
            [window.to(device) for window in _axis_weights(length, side, starts)]
            for length, side, starts in zip(self.size, self.tile, self.starts, strict=True)
        ]
        order = [along, *(axis for axis in range(len(self.size)) if axis != along)]
        for index in product(*(range(len(self.starts[axis])) for axis in order)):
            at = [number for _, number in sorted(zip(order, index, strict=True))]
            places = zip(self.starts, self.tile, at, strict=True)
            yield Tile(
                tuple(slice(starts[number], starts[number] + side) for starts, side, number in places),
                tuple(along_axis[number] for along_axis, number in zip(weights, at, strict=True)),
            )


@dataclass(frozen=True)
class Frame:
    """Zeros around an image until every axis holds a tile."""

    size: tuple[int, ...]  # with the zeros
    inside: tuple[slice, ...]  # where the image lies

    @classmethod
    def around(cls, shape: Sequence[int], tile: Sequence[int]) -> Frame:
        """That of an image of this shape, which lies in the middle."""
        size = tuple(max(length, side) for length, side in zip(shape, tile, strict=True))
        starts = [(whole - length) // 2 for whole, length in zip(size, shape, strict=True)]
        return cls(size, tuple(slice(start, start + length) for start, length in zip(starts, shape, strict=True)))

    def filled(self, image: Tensor) -> Tensor:
        """The image (C, *spatial) with its zeros, or as it is where it needs none."""
        if image.shape[1:] == self.size:
            return image
        around = [(at.start, whole - at.stop) for at, whole in zip(self.inside, self.size, strict=True)]
        return functional.pad(image, [count for before_and_after in reversed(around) for count in before_and_after])


def outer(weights: tuple[Tensor, ...]) -> Tensor:
    """The product of per-axis weights as a block (*tile)."""
    block = weights[0]
    for axis in weights[1:]:
        block = block[..., None] * axis
    return block


def _starts(length: int, side: int, overlap: float) -> tuple[int, ...]:
    if length <= side:
        return (0,)
    count = ceil((length - side) / max(side * (1 - overlap), 1)) + 1
    return tuple(round(i * (length - side) / (count - 1)) for i in range(count))


def _axis_weights(length: int, side: int, starts: Sequence[int]) -> list[Tensor]:
    """A Gaussian (sigma one eighth of the tile) per start, divided by the sum of all at each voxel."""
    at = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
    bell = torch.exp(-0.5 * (at / (side / 8)) ** 2).clamp_min(1e-6)
    total = torch.zeros(length, dtype=torch.float64)
    for start in starts:
        total[start : start + side] += bell
    return [(bell / total[start : start + side]).float() for start in starts]
