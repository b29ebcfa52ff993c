"""Gradients at random initialisations, before any training: cheap enough for several draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from skipseg.models.networks.kit import Activation
from skipseg.models.networks.norms import Norm
from skipseg.models.networks.recipes import build
from skipseg.training.fitting.loss import dice_and_cross_entropy
from skipseg.training.study.bench import Bench, tile_within
from skipseg.training.study.gradients import GradientNorms, gradient_norms
from skipseg.training.study.grid import Variation, blocks_for, recipe_of
from skipseg.training.study.records import Start

VOXELS = {3: 16**3, 2: 64**2}  # of the patch, small: nothing is learned from it
ACTIVATIONS: tuple[Activation, ...] = ("relu", "sigmoid")


@dataclass(frozen=True)
class Condition:
    """Beside depth, residual skips and activation: what else a gradient meets on its way."""

    norm: Norm
    skip: str

    @property
    def told(self) -> str:
        """For people."""
        across = "no skips across the U" if self.skip == "none" else f"{self.skip} across the U"
        return f"{'no norm' if self.norm == 'none' else f'{self.norm} norm'}, {across}"

    def variation(self, depth: int, residual: bool, activation: Activation) -> Variation:
        """A network under it."""
        return Variation(skip=self.skip, norm=self.norm, depth=depth, residual=residual, activation=activation)


# Nothing that helps a gradient; the norm; and the networks as they are trained here.
CONDITIONS = (Condition("none", "none"), Condition("instance", "none"), Condition("instance", "concat"))


def start_variations(depths: Sequence[int]) -> list[Variation]:
    """All of which gradients are measured."""
    return [
        condition.variation(depth, residual, activation)
        for condition in CONDITIONS
        for activation in ACTIVATIONS
        for depth in depths
        for residual in (True, False)
    ]


def measure_starts(bench: Bench) -> tuple[Start, ...]:
    """Gradients of every variation at every draw; draws of one number see the same patch.

    All depths are as wide as the deepest network of the grid, since width changes norms, too.
    """
    frame = bench.setup.frame()
    widths = recipe_of(Variation(depth=max(bench.setup.depths)), frame).widths
    return tuple(
        Start(variation=variation, draw=draw, along=_norms(bench, variation, widths, draw).along())
        for variation in start_variations(bench.setup.depths)
        for draw in range(bench.setup.starts)
    )


def _norms(bench: Bench, variation: Variation, widths: Sequence[int], draw: int) -> GradientNorms:
    """One backward pass in full precision, since the smallest gradients are what is looked for."""
    setup = bench.setup
    torch.manual_seed(setup.seed + draw)
    recipe = recipe_of(variation, setup.frame(), widths[: len(blocks_for(variation.depth))])
    network = build(recipe).to(bench.device).train()
    tile = tile_within(setup.plan.tile, VOXELS[setup.plan.dimensions])
    images, classes = bench.sampler(setup.seed + draw, tile, 1).draw(draw)
    logits = network(images.to(bench.device))
    dice_and_cross_entropy(logits, classes.to(bench.device), setup.whole_batch_dice).backward()
    return gradient_norms(network)
