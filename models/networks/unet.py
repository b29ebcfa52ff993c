"""The U-Net (Ronneberger 2015; 3D: Çiçek 2016) with residual or plain blocks."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from skipseg.models.networks.blocks import CONVOLUTION, ConvNormAct, Module, block
from skipseg.models.networks.skips import Concat, fit

TRANSPOSED: dict[int, Module] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


class UNet(nn.Module):
    """Encoder, decoder, and skips between them; 2D or 3D, any depth, any widths, anisotropic strides, any input size
    that leaves the bottom more than one voxel (instance norm has nothing to measure on one).

    Resolution 0 is entered with ``strides[0]`` (a stem; all ones keeps the input's own resolution, otherwise the head
    brings the logits back up). ``blocks[i]`` blocks follow on entering resolution ``i`` of the encoder (0: one single
    convolution); the decoder spends one single convolution after each join.

    ``forward`` returns the logits (N, classes, *spatial). In training mode with ``deep_supervision`` it returns a list:
    the logits at full resolution, then those of the coarser decoder resolutions (Lee 2015), bottom left out.
    """

    def __init__(
        self,
        dimensions: int,
        channels: int,
        classes: int,
        widths: Sequence[int],
        strides: Sequence[Sequence[int]],
        kernels: Sequence[Sequence[int]],
        blocks: Sequence[int],
        residual: bool = True,
        deep_supervision: bool = False,
    ) -> None:
        super().__init__()
        self.deep_supervision = deep_supervision
        came = [channels, *widths[:-1]]
        stages = [
            _stage(dimensions, came[i], widths[i], kernels[i], strides[i], blocks[i], residual)
            for i in range(len(widths))
        ]
        self.contracting = nn.ModuleList(stages[:-1])
        self.bottom = stages[-1]
        self.rising = nn.ModuleList()
        self.joins = nn.ModuleList()
        self.expanding = nn.ModuleList()
        for i in reversed(range(len(widths) - 1)):
            self.rising.append(_up(dimensions, widths[i + 1], widths[i], strides[i + 1]))
            self.joins.append(Concat())
            self.expanding.append(ConvNormAct(dimensions, Concat.width(widths[i], widths[i]), widths[i], kernels[i]))
        self.head = _head(dimensions, widths[0], classes, strides[0])
        coarser = widths[1:-1][::-1] if deep_supervision else []
        self.coarse_heads = nn.ModuleList(CONVOLUTION[dimensions](width, classes, 1) for width in coarser)
        self.apply(_initialise)

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:  # (N, channels, *spatial) -> (N, classes, *spatial)
        size, across, coarse = image, [], []
        for encode in self.contracting:
            image = encode(image)
            across.append(image)
        image = self.bottom(image)
        for up, join, decode in zip(self.rising, self.joins, self.expanding, strict=True):
            image = decode(join(up(image), across.pop()))
            coarse.append(image)
        logits = fit(self.head(image), size)
        if not (self.training and self.deep_supervision):
            return logits
        coarser = [head(features) for head, features in zip(self.coarse_heads, coarse[:-1], strict=True)]
        return [logits, *reversed(coarser)]


def _stage(
    dimensions: int, came: int, width: int, kernel: Sequence[int], stride: Sequence[int], blocks: int, residual: bool
) -> nn.Sequential:
    if blocks == 0:
        return nn.Sequential(ConvNormAct(dimensions, came, width, kernel, stride))
    kind = block(residual)
    first = kind(dimensions, came, width, kernel, stride)
    return nn.Sequential(first, *(kind(dimensions, width, width, kernel) for _ in range(blocks - 1)))


def _up(dimensions: int, came: int, goes: int, stride: Sequence[int]) -> nn.Module:
    return TRANSPOSED[dimensions](came, goes, tuple(stride), tuple(stride), bias=False)


def _head(dimensions: int, width: int, classes: int, stride: Sequence[int]) -> nn.Module:
    if all(step == 1 for step in stride):
        return CONVOLUTION[dimensions](width, classes, 1)
    return TRANSPOSED[dimensions](width, classes, tuple(stride), tuple(stride))


def _initialise(module: nn.Module) -> None:
    """Weights by He 2015 (fan out would starve transposed convolutions; fan in keeps activations' scale)."""
    if isinstance(module, (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)):
        nn.init.kaiming_normal_(module.weight, a=0.01)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
