"""What one forward pass costs, counted on shapes alone: nothing is computed and no memory taken."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from skipseg.models.networks.recipe import Recipe
from skipseg.models.networks.weightless import weightless


@dataclass(frozen=True)
class Cost:
    """Of one image of a given size."""

    multiplications: float
    features: float  # values that layers leave behind
    weights: int


@lru_cache(maxsize=64)
def cost(recipe: Recipe, size: tuple[int, ...]) -> Cost:
    """Of the network of a recipe on one image of ``size`` voxels."""
    left: list[int] = []

    def note(_: nn.Module, __: object, output: object) -> None:
        left.extend([output.numel()] if isinstance(output, Tensor) else [])

    with weightless(), torch.no_grad():
        network = recipe.build().eval()
        for module in network.modules():
            if not list(module.children()):
                module.register_forward_hook(note)
        with FlopCounterMode(display=False) as counter:
            network(torch.empty(1, recipe.channels, *size))
    weights = sum(values.numel() for values in network.parameters())
    return Cost(counter.get_total_flops() / 2, float(sum(left)), weights)
