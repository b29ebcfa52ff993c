"""The U-Net (Ronneberger 2015; 3D: Çiçek 2016), of any blocks and any skips."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from skipseg.models.networks.blocks import BLOCKS, BlockKind
from skipseg.models.networks.kit import CONVOLUTION, Kit
from skipseg.models.networks.skips import SKIPS


class UNet(nn.Module):
    """Encoder, decoder, and skips between them; 2D or 3D, any depth, any widths, anisotropic strides, any input size
    that leaves the bottom more than one voxel (instance norm has nothing to measure on one).

    Resolution 0 is entered with ``strides[0]`` (a stem; all ones keeps the input's own resolution, otherwise the head
    brings the logits back up). ``blocks[i]`` blocks of the ``kind`` follow on entering resolution ``i`` of the encoder
    (0: one single convolution); the decoder spends one single convolution after each join.

    ``forward`` returns the logits (N, classes, *spatial). In training mode with ``deep_supervision`` it returns a list:
    the logits at full resolution, then those of the coarser decoder resolutions (Lee 2015), bottom left out.
    """

    def __init__(
        self,
        kit: Kit,
        channels: int,
        classes: int,
        widths: Sequence[int],
        strides: Sequence[Sequence[int]],
        kernels: Sequence[Sequence[int]],
        blocks: Sequence[int],
        kind: BlockKind = "basic",
        residual: bool = True,
        skip: str = "concat",
        deep_supervision: bool = False,
    ) -> None:
        super().__init__()
        self.deep_supervision = deep_supervision

        def stage(came: int, goes: int, kernel: Sequence[int], stride: Sequence[int], count: int) -> nn.Sequential:
            if count == 0:
                return nn.Sequential(kit.unit(came, goes, kernel, stride))
            first = BLOCKS[kind](kit, came, goes, kernel, stride, residual)
            more = [BLOCKS[kind](kit, goes, goes, kernel, kit.each(1), residual) for _ in range(count - 1)]
            return nn.Sequential(first, *more)

        *above, bottom = map(stage, [channels, *widths[:-1]], widths, kernels, strides, blocks)
        self.contracting = nn.ModuleList(above)
        self.bottom = bottom
        self.rising = nn.ModuleList()
        self.joins = nn.ModuleList()
        self.expanding = nn.ModuleList()
        for i in reversed(range(len(widths) - 1)):
            join = SKIPS[skip](kit, up=widths[i], across=widths[i])
            self.rising.append(kit.rising(widths[i + 1], widths[i], strides[i + 1]))
            self.joins.append(join)
            self.expanding.append(kit.unit(join.width, widths[i], kernels[i]))
        self.head = kit.head(widths[0], classes, strides[0])
        coarser = widths[1:-1][::-1] if deep_supervision else []
        self.coarse_heads = nn.ModuleList(CONVOLUTION[kit.dimensions](width, classes, 1) for width in coarser)
        kit.initialise(self)

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:  # (N, channels, *spatial) -> (N, classes, *spatial)
        size, across, coarse = image, [], []
        for encode in self.contracting:
            image = encode(image)
            across.append(image)
        image = self.bottom(image)
        for up, join, decode in zip(self.rising, self.joins, self.expanding, strict=True):
            skipped = across.pop()
            image = decode(join(fit(up(image), skipped), skipped))
            coarse.append(image)
        logits = fit(self.head(image), size)
        if not (self.training and self.deep_supervision):
            return logits
        coarser = [head(features) for head, features in zip(self.coarse_heads, coarse[:-1], strict=True)]
        return [logits, *reversed(coarser)]


def fit(up: Tensor, across: Tensor) -> Tensor:
    """``up`` cut to the size of ``across``: upsampling an odd size gives one voxel too many."""
    for axis, size in enumerate(across.shape[2:], start=2):
        up = up.narrow(axis, 0, size) if up.shape[axis] != size else up
    return up
