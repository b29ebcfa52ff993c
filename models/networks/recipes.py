"""The allow-listed schema of networks: what a plan may name, and nothing else is ever built from a file."""

from __future__ import annotations

from math import prod
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import nn

from skipseg.models.networks.unet import UNet

MOST_WEIGHTS = 10**9  # 4 GB in memory


class UNetRecipe(BaseModel):
    """A U-Net; one entry of ``widths`` and ``strides`` per resolution, the first at the input's own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["unet"] = "unet"
    dimensions: Literal[2, 3]
    channels: int = Field(ge=1, le=64)  # of the image
    classes: int = Field(ge=2, le=1024)  # background included
    widths: tuple[int, ...] = Field(min_length=2, max_length=10)  # features per resolution
    strides: tuple[tuple[int, ...], ...]  # downsampling per axis on entering each resolution; the first is the stem's
    kernels: tuple[tuple[int, ...], ...]  # convolution kernel per axis at each resolution, odd
    blocks: tuple[int, ...]  # blocks per encoder resolution
    residual: bool = True  # residual blocks, or plain stacks of two convolutions
    skip: Literal["concat"] = "concat"  # how encoder features join the decoder
    deep_supervision: bool = True  # heads at the coarser decoder resolutions, used in training alone

    @model_validator(mode="after")
    def _one_entry_a_resolution(self) -> UNetRecipe:
        for name in ("strides", "kernels", "blocks"):
            if len(getattr(self, name)) != len(self.widths):
                raise ValueError(f"{name} needs {len(self.widths)} entries, one per resolution of widths")
        for name in ("strides", "kernels"):
            if any(len(entry) != self.dimensions for entry in getattr(self, name)):
                raise ValueError(f"every entry of {name} needs {self.dimensions} numbers")
            if any(not 1 <= number <= 7 for entry in getattr(self, name) for number in entry):
                raise ValueError(f"{name} must lie in 1..7")
        if any(not 1 <= width <= 2048 for width in self.widths) or any(not 0 <= n <= 16 for n in self.blocks):
            raise ValueError("widths must lie in 1..2048 and blocks in 0..16")
        if any(number % 2 == 0 for kernel in self.kernels for number in kernel):
            raise ValueError("kernels must be odd: an even one moves the image by half a voxel")
        if (count := self.weights) > MOST_WEIGHTS:
            raise ValueError(
                f"widths, kernels and blocks make about {count:,} weights; at most {MOST_WEIGHTS:,} may be"
            )
        return self

    @property
    def weights(self) -> int:
        """About how many weights there are: one convolution or two a block, one after each join, and the ways up."""
        count, before = 0, max(self.channels, self.classes)
        for width, kernel, stride, blocks in zip(self.widths, self.kernels, self.strides, self.blocks, strict=True):
            count += prod(kernel) * width * (before + max(2 * blocks + 1, 2) * width) + prod(stride) * before * width
            before = width
        return count - prod(self.kernels[-1]) * 2 * before**2  # nothing is joined at the bottom


NetworkRecipe = UNetRecipe


def build(recipe: NetworkRecipe) -> nn.Module:
    """The network of a recipe, freshly initialised: (N, channels, *spatial) -> (N, classes, *spatial)."""
    return UNet(
        dimensions=recipe.dimensions,
        channels=recipe.channels,
        classes=recipe.classes,
        widths=recipe.widths,
        strides=recipe.strides,
        kernels=recipe.kernels,
        blocks=recipe.blocks,
        residual=recipe.residual,
        deep_supervision=recipe.deep_supervision,
    )
