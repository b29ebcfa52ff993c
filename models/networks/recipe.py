"""What every network's recipe tells."""

from __future__ import annotations

from math import prod
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import nn

MOST_WEIGHTS = 10**9  # 4 GB in memory


class Recipe(BaseModel):
    """How to build one network, as values that are checked; nothing of it is a name of code."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    dimensions: Literal[2, 3]
    channels: int = Field(ge=1, le=64)  # of the image
    classes: int = Field(ge=2, le=1024)  # background included

    @property
    def told(self) -> str:
        """The network in a few words."""
        return f"{self.kind} of {self.weights:,} weights"

    @property
    def shrinks(self) -> tuple[int, ...]:
        """How many voxels of the input one at the bottom stands for, along each axis."""
        raise NotImplementedError

    @property
    def weights(self) -> int:
        """About how many weights there are."""
        raise NotImplementedError

    def build(self) -> nn.Module:
        """The network, freshly initialised: (N, channels, *spatial) -> (N, classes, *spatial)."""
        raise NotImplementedError


class Pyramid(Recipe):
    """A network of several resolutions, each entered with a stride: one entry a resolution."""

    widths: tuple[int, ...] = Field(min_length=2, max_length=10)  # features per resolution
    strides: tuple[tuple[int, ...], ...]  # downsampling per axis on entering each resolution; the first is the stem's
    kernels: tuple[tuple[int, ...], ...]  # convolution kernel per axis at each resolution, odd

    @model_validator(mode="after")
    def _one_entry_a_resolution(self) -> Pyramid:
        for name in ("strides", "kernels"):
            if len(getattr(self, name)) != len(self.widths):
                raise ValueError(f"{name} needs {len(self.widths)} entries, one per resolution of widths")
            if any(len(entry) != self.dimensions for entry in getattr(self, name)):
                raise ValueError(f"every entry of {name} needs {self.dimensions} numbers")
            if any(not 1 <= number <= 7 for entry in getattr(self, name) for number in entry):
                raise ValueError(f"{name} must lie in 1..7")
        if any(not 1 <= width <= 2048 for width in self.widths):
            raise ValueError("widths must lie in 1..2048")
        if any(number % 2 == 0 for kernel in self.kernels for number in kernel):
            raise ValueError("kernels must be odd: an even one moves the image by half a voxel")
        return self

    @property
    def told(self) -> str:
        """The network in a few words."""
        return f"{self.kind} of {self.weights:,} weights"

    @property
    def shrinks(self) -> tuple[int, ...]:
        return tuple(prod(steps) for steps in zip(*self.strides, strict=True))
