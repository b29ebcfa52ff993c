"""Which networks a study compares: kinds of skips, depths with residual skips and without, and activations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from pydantic import BaseModel, ConfigDict

from skipseg.models.networks.kit import Activation
from skipseg.models.networks.norms import Norm
from skipseg.models.networks.recipe import Pyramid
from skipseg.models.networks.recipes import UNetRecipe
from skipseg.models.networks.skips import SKIPS
from skipseg.models.networks.weightless import weightless

DEPTHS = (4, 8, 16, 34, 52)
NORMAL = 16  # layers of the networks whose skips across the U are compared
DEEP = 50  # layers from which on a network is called deep here
SHALLOW = 8  # layers up to which one is called shallow
RESOLUTIONS = 3
WIDEST = 512.0


class Variation(BaseModel):
    """One network of the grid.

    ``depth`` counts the convolutions of encoder, bottom and decoder. All of them lie in one row, so it is the longest
    path, too. Projections, transposed convolutions, those within a join and the head are left out.
    """

    model_config = ConfigDict(frozen=True)

    skip: str = "concat"
    depth: int = NORMAL
    residual: bool = True
    activation: Activation = "relu"
    norm: Norm = "instance"

    @property
    def name(self) -> str:
        """For people, and unique in a grid."""
        without = "" if self.norm == "instance" else f", norm {self.norm}"
        return (
            f"{self.depth} layers, {'residual' if self.residual else 'plain'}, {self.skip}, {self.activation}{without}"
        )

    @property
    def compares_skips(self) -> bool:
        """Whether it is one of those that differ in their skips across the U alone."""
        return self == Variation(skip=self.skip)


@dataclass(frozen=True)
class Extent:
    """How much of the grid is run."""

    depths: tuple[int, ...]
    seeds: int

    @property
    def variations(self) -> tuple[Variation, ...]:
        """All kinds of skips at the normal depth, residual and plain twins of each depth, and sigmoids for some."""
        kinds = [Variation(skip=kind) for kind in SKIPS]
        twins = [Variation(depth=depth, residual=residual) for depth in self.depths for residual in (True, False)]
        saturated = (
            Variation(depth=depth, residual=residual, activation="sigmoid")
            for depth in (NORMAL, max(self.depths))
            for residual in (True, False)
        )
        return tuple(dict.fromkeys([*kinds, *twins, *saturated]))


# What is given up when time is short, in this order: depths in the middle, then seeds, never the last one.
EXTENTS = (
    Extent(DEPTHS, 3),
    Extent((4, 8, 16, 52), 3),
    Extent((4, 16, 52), 3),
    Extent((4, 16, 52), 2),
    Extent((4, 16, 52), 1),
)


@dataclass(frozen=True)
class Frame:
    """What all networks of a study have in common; strides and kernels of the finest resolutions."""

    dimensions: int
    channels: int
    classes: int
    strides: tuple[tuple[int, ...], ...]
    kernels: tuple[tuple[int, ...], ...]
    weights: int  # that each should have, within a tenth

    @classmethod
    def of(cls, network: Pyramid, weights: int) -> Frame:
        """That of a planned network, without its stem; resolutions that it lacks halve every axis."""
        missing = max(RESOLUTIONS - len(network.strides), 0)
        ones, twos = (1,) * network.dimensions, (2,) * network.dimensions
        strides = (ones, *network.strides[1:], *[twos] * missing)[:RESOLUTIONS]
        kernels = (*network.kernels, *[(3,) * network.dimensions] * missing)[:RESOLUTIONS]
        return cls(network.dimensions, network.channels, network.classes, strides, kernels, weights)


def blocks_for(depth: int) -> tuple[int, ...]:
    """Blocks of two convolutions per resolution (0: a single one) that make a network of ``depth`` convolutions.

    A network of four layers has two resolutions, any other three. More depth is more blocks per resolution.
    """
    resolutions = RESOLUTIONS if depth > 4 else 2
    left = depth - (resolutions - 1)  # the decoder has one convolution per join
    single = [0] if left % 2 else []
    blocks, over = divmod((left - len(single)) // 2, resolutions - len(single))
    rest = [blocks + (place >= resolutions - len(single) - over) for place in range(resolutions - len(single))]
    return (*single, *rest)


def recipe_of(variation: Variation, frame: Frame, widths: Sequence[int] | None = None) -> UNetRecipe:
    """The network of a variation, as wide as makes it ``frame.weights`` large unless ``widths`` are given.

    Twins, which differ in residual skips, activation or norm alone, are equally wide.
    """
    blocks = blocks_for(variation.depth)
    return UNetRecipe(
        dimensions=frame.dimensions,  # type: ignore[arg-type]  # two or three
        channels=frame.channels,
        classes=frame.classes,
        widths=tuple(widths or widths_for(variation.skip, variation.depth, frame)),
        strides=frame.strides[: len(blocks)],
        kernels=frame.kernels[: len(blocks)],
        blocks=blocks,
        residual=variation.residual,
        skip=variation.skip,
        activation=variation.activation,
        norm=variation.norm,
        deep_supervision=False,
    )


@cache
def widths_for(skip: str, depth: int, frame: Frame) -> tuple[int, ...]:
    """Features per resolution, about doubling from one to the next, nearest to the weights asked for."""
    plain = Variation(skip=skip, depth=depth, residual=False)

    def widths(scale: float) -> tuple[int, ...]:
        return tuple(max(round(scale * 2**place), 1) for place in range(len(blocks_for(depth))))

    def off(scale: float) -> int:
        return count_weights(recipe_of(plain, frame, widths(scale))) - frame.weights

    low, high = 0.5, WIDEST
    while high / low > 1.004:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if off(middle) < 0 else (low, middle)
    return widths(min(low, high, key=lambda scale: abs(off(scale))))


def count_weights(recipe: UNetRecipe) -> int:
    """Of the network as it is built."""
    with weightless():
        return sum(values.numel() for values in recipe.build().parameters())
