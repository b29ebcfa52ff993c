"""What every block is made of: convolutions, norms and activations of one kind, in two dimensions or three."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn

from skipseg.models.networks.norms import Norm, norm

Activation = Literal["leaky", "relu", "gelu", "sigmoid", "tanh"]
Module = Callable[..., nn.Module]  # torch types sizes as tuples of two or three; recipes hold tuples of either
CONVOLUTION: dict[int, Module] = {2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED: dict[int, Module] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
POOL: dict[int, Module] = {2: nn.AvgPool2d, 3: nn.AvgPool3d}
WEIGHTED = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)
LEAK = 0.01
ACTIVATIONS: dict[Activation, Callable[[bool], nn.Module]] = {
    "leaky": lambda in_place: nn.LeakyReLU(LEAK, in_place),
    "relu": lambda in_place: nn.ReLU(in_place),
    "gelu": lambda _: nn.GELU(),
    "sigmoid": lambda _: nn.Sigmoid(),
    "tanh": lambda _: nn.Tanh(),
}


@dataclass(frozen=True)
class Kit:
    """The kinds that a network uses throughout."""

    dimensions: int
    activation: Activation = "leaky"
    norm: Norm = "instance"

    def convolution(
        self, came: int, goes: int, kernel: Sequence[int], stride: Sequence[int] | None = None
    ) -> nn.Module:
        """One that keeps the size, or divides it by ``stride`` rounding up; a bias where no norm would take it off."""
        padding = tuple((side - 1) // 2 for side in kernel)
        steps = tuple(stride or self.each(1))
        return CONVOLUTION[self.dimensions](came, goes, tuple(kernel), steps, padding, bias=self.norm == "none")

    def pointwise(self, came: int, goes: int) -> nn.Module:
        """A convolution of one voxel: the same features, mixed anew."""
        return self.convolution(came, goes, self.each(1))

    def rising(self, came: int, goes: int, stride: Sequence[int]) -> nn.Module:
        """A transposed convolution: the size times ``stride``."""
        return TRANSPOSED[self.dimensions](came, goes, tuple(stride), tuple(stride), bias=False)

    def head(self, came: int, classes: int, stride: Sequence[int]) -> nn.Module:
        """Logits at the size that a stem of ``stride`` took."""
        if all(step == 1 for step in stride):
            return CONVOLUTION[self.dimensions](came, classes, 1)
        return TRANSPOSED[self.dimensions](came, classes, tuple(stride), tuple(stride))

    def normed(self, features: int) -> nn.Module:
        """The norm of so many features."""
        return norm(self.norm, self.dimensions, features)

    def active(self, in_place: bool = True) -> nn.Module:
        """The activation; in place where nobody else holds what is activated."""
        return ACTIVATIONS[self.activation](in_place)

    def unit(self, came: int, goes: int, kernel: Sequence[int], stride: Sequence[int] | None = None) -> nn.Sequential:
        """Convolution, norm, activation: (N, came, *spatial) -> (N, goes, *ceil(spatial / stride))."""
        return nn.Sequential(self.convolution(came, goes, kernel, stride), self.normed(goes), self.active())

    def each(self, side: int) -> tuple[int, ...]:
        """The same number for every axis."""
        return (side,) * self.dimensions

    def initialise(self, network: nn.Module) -> None:
        """Weights that keep the scale of what passes: He 2015 for rectifiers, Glorot 2010 where values saturate."""
        for module in network.modules():
            if isinstance(module, WEIGHTED):
                if self.activation in ("sigmoid", "tanh"):
                    nn.init.xavier_normal_(module.weight, nn.init.calculate_gain(self.activation))
                else:  # fan in: fan out would starve transposed convolutions
                    nn.init.kaiming_normal_(module.weight, a=LEAK if self.activation == "leaky" else 0.0)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
