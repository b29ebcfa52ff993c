"""Blocks a U-Net is built of: convolution, norm, activation, and the additive skip of residual learning."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn
from torch.nn import functional

from skipseg.models.networks.norms import norm

Module = Callable[..., nn.Module]  # torch types sizes as tuples of two or three; recipes hold tuples of either
CONVOLUTION: dict[int, Module] = {2: nn.Conv2d, 3: nn.Conv3d}


def convolution(
    dimensions: int, came: int, goes: int, kernel: Sequence[int], stride: Sequence[int] | None = None
) -> nn.Module:
    """A convolution without bias that keeps the size, or divides it by ``stride`` rounding up."""
    padding = tuple((size - 1) // 2 for size in kernel)
    return CONVOLUTION[dimensions](came, goes, tuple(kernel), tuple(stride or (1,) * dimensions), padding, bias=False)


class ConvNormAct(nn.Sequential):
    """Convolution, instance norm, leaky ReLU: (N, came, *spatial) -> (N, goes, *ceil(spatial / stride))."""

    def __init__(
        self, dimensions: int, came: int, goes: int, kernel: Sequence[int], stride: Sequence[int] | None = None
    ) -> None:
        super().__init__(
            convolution(dimensions, came, goes, kernel, stride),
            norm(dimensions, goes),
            nn.LeakyReLU(0.01, inplace=True),
        )


class PlainBlock(nn.Sequential):
    """Two convolutions in a row, as in the U-Net paper (Ronneberger 2015)."""

    def __init__(
        self, dimensions: int, came: int, goes: int, kernel: Sequence[int], stride: Sequence[int] | None = None
    ) -> None:
        super().__init__(
            ConvNormAct(dimensions, came, goes, kernel, stride),
            ConvNormAct(dimensions, goes, goes, kernel),
        )


class ResidualBlock(nn.Module):
    """Two convolutions and a skip that adds the input to their output (He 2015, Figure 2).

    The skip is the identity when input and output agree in shape, and a learned projection when they do not: average
    pooling by the stride, then a 1x1(x1) convolution (the ResNet-D shortcut, He 2019, which drops no voxel).
    """

    def __init__(
        self, dimensions: int, came: int, goes: int, kernel: Sequence[int], stride: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        self.first = ConvNormAct(dimensions, came, goes, kernel, stride)
        self.second = nn.Sequential(convolution(dimensions, goes, goes, kernel), norm(dimensions, goes))
        self.skip = identity_or_projection(dimensions, came, goes, tuple(stride or (1,) * dimensions))

    def forward(self, image: Tensor) -> Tensor:  # (N, came, *spatial) -> (N, goes, *ceil(spatial / stride))
        added: Tensor = self.second(self.first(image)) + self.skip(image)
        return functional.leaky_relu_(added, 0.01)


POOL: dict[int, Module] = {2: nn.AvgPool2d, 3: nn.AvgPool3d}


def identity_or_projection(dimensions: int, came: int, goes: int, stride: tuple[int, ...]) -> nn.Module:
    """The skip of a residual block: nothing to learn when shapes agree, a projection when they do not."""
    steps: list[nn.Module] = []
    if any(step > 1 for step in stride):
        steps.append(POOL[dimensions](stride, stride, ceil_mode=True))
    if came != goes:
        steps += [convolution(dimensions, came, goes, (1,) * dimensions), norm(dimensions, goes)]
    return nn.Sequential(*steps) if steps else nn.Identity()


def block(residual: bool) -> type[ResidualBlock] | type[PlainBlock]:
    """The kind of block a recipe asks for."""
    return ResidualBlock if residual else PlainBlock
