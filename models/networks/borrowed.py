"""Networks of MONAI's, each by a recipe of its own that names all it may be asked for.

They answer to the same call as the U-Net. Most of them take sizes that divide by a power of two alone: what is missing
is filled up with the outermost voxels and cut off again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator
from torch import Tensor, nn
from torch.nn import functional

from skipseg.models.networks.recipe import MOST_WEIGHTS, Pyramid, Recipe
from skipseg.models.networks.weightless import weightless

Count = Annotated[int, Field(ge=1, le=16)]
Few = Literal[1, 2]
Width = Annotated[int, Field(ge=2, le=1024)]


class FilledUp(nn.Module):
    """A network that gets sizes it can take: multiples of ``step``, or ``size`` alone."""

    def __init__(self, network: nn.Module, step: Sequence[int], size: Sequence[int] | None = None) -> None:
        super().__init__()
        self.network = network
        self.step, self.size = tuple(step), tuple(size or ())

    def forward(self, image: Tensor) -> Tensor:  # (N, channels, *spatial) -> (N, classes, *spatial)
        given = image.shape[2:]
        wanted = self.size or tuple(-(-side // step) * step for side, step in zip(given, self.step, strict=True))
        missing = [want - side for want, side in zip(wanted, given, strict=True)]
        if any(missing):
            image = functional.pad(image, [n for more in reversed(missing) for n in (0, more)], mode="replicate")
        logits: Tensor = self.network(image)
        for axis, side in enumerate(given, start=2):
            logits = logits.narrow(axis, 0, side)
        return logits


class Borrowed(Recipe):
    """What all of them share: weights are counted, once, without any memory."""

    monai: ClassVar[str]  # the name of MONAI's class

    @property
    def arguments(self) -> dict[str, Any]:
        """What MONAI's class is called with."""
        raise NotImplementedError

    @cached_property
    def _counted(self) -> int:
        with weightless():
            return sum(weights.numel() for weights in self.build().parameters())

    @property
    def weights(self) -> int:
        return self._counted

    @model_validator(mode="after")
    def _not_too_large(self) -> Borrowed:
        if self.weights > MOST_WEIGHTS:
            raise ValueError(f"this network has {self.weights:,} weights; at most {MOST_WEIGHTS:,} may be")
        return self


class SegResNetRecipe(Borrowed):
    """Residual blocks and added skips (Myronenko 2018)."""

    kind: Literal["segresnet"] = "segresnet"
    monai: ClassVar[str] = "SegResNet"
    features: int = Field(default=16, ge=8, le=256, multiple_of=8)  # at full resolution; doubled at each one below
    down: tuple[Count, ...] = Field(default=(1, 2, 2, 4), min_length=2, max_length=6)  # blocks of each resolution
    up: tuple[Count, ...] = (1, 1, 1)

    @model_validator(mode="after")
    def _one_way_up_for_each_down(self) -> SegResNetRecipe:
        if len(self.up) != len(self.down) - 1:
            raise ValueError(f"up needs {len(self.down) - 1} entries, one less than down")
        return self

    @property
    def shrinks(self) -> tuple[int, ...]:
        return (2 ** (len(self.down) - 1),) * self.dimensions

    @property
    def arguments(self) -> dict[str, Any]:
        return {
            "spatial_dims": self.dimensions,
            "init_filters": self.features,
            "in_channels": self.channels,
            "out_channels": self.classes,
            "blocks_down": self.down,
            "blocks_up": self.up,
        }

    def build(self) -> nn.Module:
        from monai.networks.nets.segresnet import SegResNet

        return FilledUp(SegResNet(**self.arguments), self.shrinks)


class SwinUNETRRecipe(Borrowed):
    """A transformer that looks through shifted windows as the encoder, with convolutions above (Hatamizadeh 2022)."""

    kind: Literal["swinunetr"] = "swinunetr"
    monai: ClassVar[str] = "SwinUNETR"
    features: int = Field(default=24, ge=12, le=192, multiple_of=12)
    depths: tuple[Few, Few, Few, Few] = (2, 2, 2, 2)  # blocks of each resolution
    heads: tuple[Count, Count, Count, Count] = (3, 6, 12, 12)
    window: int = Field(default=7, ge=2, le=16)  # voxels of the grid of each resolution

    @field_validator("heads")
    @classmethod
    def _share_the_features(cls, heads: tuple[int, ...], others: ValidationInfo) -> tuple[int, ...]:
        features = [others.data.get("features", 0) * 2**place for place in range(len(heads))]
        if any(width % count for width, count in zip(features, heads, strict=True)):
            raise ValueError(f"heads must divide the features of their resolutions, {features}; got {heads}")
        return heads

    @property
    def shrinks(self) -> tuple[int, ...]:
        return (32,) * self.dimensions

    @property
    def arguments(self) -> dict[str, Any]:
        return {
            "in_channels": self.channels,
            "out_channels": self.classes,
            "depths": self.depths,
            "num_heads": self.heads,
            "window_size": self.window,
            "feature_size": self.features,
            "spatial_dims": self.dimensions,
        }

    def build(self) -> nn.Module:
        from monai.networks.nets.swin_unetr import SwinUNETR

        return FilledUp(SwinUNETR(**self.arguments), self.shrinks)


class UNETRRecipe(Borrowed):
    """A transformer over patches of 16 voxels, each told its place, as the encoder (Hatamizadeh 2021); of one size."""

    kind: Literal["unetr"] = "unetr"
    monai: ClassVar[str] = "UNETR"
    size: tuple[Annotated[int, Field(ge=32, le=2048, multiple_of=16)], ...]  # the tile
    features: int = Field(default=16, ge=4, le=128)
    hidden: int = Field(default=384, ge=24, le=1536)
    heads: int = Field(default=6, ge=1, le=24)

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> UNETRRecipe:
        if len(self.size) != self.dimensions:
            raise ValueError(f"size needs {self.dimensions} numbers, got {self.size}")
        if self.hidden % self.heads:
            raise ValueError(f"hidden must divide by heads, got {self.hidden} and {self.heads}")
        return self

    @property
    def shrinks(self) -> tuple[int, ...]:
        return (16,) * self.dimensions

    @property
    def arguments(self) -> dict[str, Any]:
        return {
            "in_channels": self.channels,
            "out_channels": self.classes,
            "img_size": self.size,
            "feature_size": self.features,
            "hidden_size": self.hidden,
            "mlp_dim": 4 * self.hidden,
            "num_heads": self.heads,
            "spatial_dims": self.dimensions,
        }

    def build(self) -> nn.Module:
        from monai.networks.nets.unetr import UNETR

        network = UNETR(**self.arguments)
        for block in network.vit.blocks:
            block.norm_cross_attn = nn.Identity()  # weights that MONAI makes and never uses
        return FilledUp(network, self.shrinks, self.size)


class DynUNetRecipe(Pyramid, Borrowed):
    """nnU-Net's network as MONAI builds it (Isensee 2021)."""

    kind: Literal["dynunet"] = "dynunet"
    monai: ClassVar[str] = "DynUNet"
    residual: bool = False

    @field_validator("strides")
    @classmethod
    def _no_stem(cls, strides: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
        if any(step > 1 for step in strides[0]):
            raise ValueError(f"a DynUNet answers at the size of its first stride, which must be 1; got {strides[0]}")
        return strides

    @property
    def arguments(self) -> dict[str, Any]:
        return {
            "spatial_dims": self.dimensions,
            "in_channels": self.channels,
            "out_channels": self.classes,
            "kernel_size": self.kernels,
            "strides": self.strides,
            "upsample_kernel_size": self.strides[1:],
            "filters": self.widths,
            "res_block": self.residual,
        }

    def build(self) -> nn.Module:
        from monai.networks.nets.dynunet import DynUNet

        network = DynUNet(**self.arguments)
        for twice in ("input_block", "downsamples", "bottleneck", "upsamples"):
            delattr(network, twice)  # second names of the layers in skip_layers, which a file of weights holds once
        return FilledUp(network, self.shrinks)


class AttentionUnetRecipe(Borrowed):
    """A U-Net whose skips pass attention gates (Oktay 2018), as MONAI builds it; halved along every axis alike."""

    kind: Literal["attentionunet"] = "attentionunet"
    monai: ClassVar[str] = "AttentionUnet"
    widths: tuple[Width, ...] = Field(default=(16, 48, 128, 256), min_length=2, max_length=8)

    @property
    def shrinks(self) -> tuple[int, ...]:
        return (2 ** (len(self.widths) - 1),) * self.dimensions

    @property
    def arguments(self) -> dict[str, Any]:
        return {
            "spatial_dims": self.dimensions,
            "in_channels": self.channels,
            "out_channels": self.classes,
            "channels": self.widths,
            "strides": (2,) * (len(self.widths) - 1),
        }

    def build(self) -> nn.Module:
        from monai.networks.nets.attentionunet import AttentionUnet

        return FilledUp(AttentionUnet(**self.arguments), self.shrinks)
