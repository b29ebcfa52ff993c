"""The allow-listed schema of networks: what a plan may name, and nothing else is ever built from a file."""

from __future__ import annotations

from math import prod
from typing import Annotated, Literal

from pydantic import Field, model_validator
from torch import nn

from skipseg.models.networks.blocks import BlockKind
from skipseg.models.networks.borrowed import (
    AttentionUnetRecipe,
    DynUNetRecipe,
    SegResNetRecipe,
    SwinUNETRRecipe,
    UNETRRecipe,
)
from skipseg.models.networks.kit import Activation, Kit
from skipseg.models.networks.norms import Norm
from skipseg.models.networks.recipe import MOST_WEIGHTS, Pyramid, Recipe
from skipseg.models.networks.skips import KindOfSkip
from skipseg.models.networks.unet import UNet


class UNetRecipe(Pyramid):
    """A U-Net; one entry of ``widths`` and ``strides`` per resolution, the first at the input's own."""

    kind: Literal["unet"] = "unet"
    blocks: tuple[int, ...]  # blocks per encoder resolution; 0: one single convolution
    block: BlockKind = "basic"
    residual: bool = True  # blocks with their additive skip, or without
    skip: KindOfSkip = "concat"  # how encoder features join the decoder: a name of networks/skips
    activation: Activation = "leaky"
    norm: Norm = "instance"
    deep_supervision: bool = True  # heads at the coarser decoder resolutions, used in training alone

    @model_validator(mode="after")
    def _blocks_fit(self) -> UNetRecipe:
        if len(self.blocks) != len(self.widths):
            raise ValueError(f"blocks needs {len(self.widths)} entries, one per resolution of widths")
        if any(not 0 <= count <= 16 for count in self.blocks):
            raise ValueError("blocks must lie in 0..16")
        if (count := self.weights) > MOST_WEIGHTS:
            raise ValueError(
                f"widths, kernels and blocks make about {count:,} weights; at most {MOST_WEIGHTS:,} may be"
            )
        return self

    @property
    def told(self) -> str:
        usual = type(self).model_fields
        names = ("skip", "block", "residual", "activation", "norm")
        different = [f"{name} {getattr(self, name)}" for name in names if getattr(self, name) != usual[name].default]
        about = f" ({', '.join(different)})" if different else ""
        return f"U-Net{about}, {len(self.widths)} resolutions of {self.widths} features, strides {self.strides[1:]}"

    @property
    def weights(self) -> int:
        """About how many weights there are: one convolution or two a block, one after each join, and the ways up."""
        count, before = 0, max(self.channels, self.classes)
        for width, kernel, stride, blocks in zip(self.widths, self.kernels, self.strides, self.blocks, strict=True):
            count += prod(kernel) * width * (before + max(2 * blocks + 1, 2) * width) + prod(stride) * before * width
            before = width
        return count - prod(self.kernels[-1]) * 2 * before**2  # nothing is joined at the bottom

    def build(self) -> nn.Module:
        """The U-Net."""
        return UNet(
            Kit(self.dimensions, self.activation, self.norm),
            channels=self.channels,
            classes=self.classes,
            widths=self.widths,
            strides=self.strides,
            kernels=self.kernels,
            blocks=self.blocks,
            kind=self.block,
            residual=self.residual,
            skip=self.skip,
            deep_supervision=self.deep_supervision,
        )


NetworkRecipe = Annotated[
    UNetRecipe | SegResNetRecipe | SwinUNETRRecipe | UNETRRecipe | DynUNetRecipe | AttentionUnetRecipe,
    Field(discriminator="kind"),
]
NetworkKind = Literal["unet", "segresnet", "swinunetr", "unetr", "dynunet", "attentionunet"]


def build(recipe: Recipe) -> nn.Module:
    """The network of a recipe, freshly initialised: (N, channels, *spatial) -> (N, classes, *spatial)."""
    return recipe.build()
