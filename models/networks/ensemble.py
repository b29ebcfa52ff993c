"""Several networks of one recipe that answer as one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import log
from typing import Any

import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from skipseg.models.networks.recipes import NetworkRecipe, build


class Ensemble(nn.ModuleList):
    """The mean of its members' probabilities, as logarithms: their softmax is that mean again.

    Members answer one after the other and are summed up on the way, so a tile's scores are held twice however many
    members there are. Weights are called ``0.name``, ``1.name`` and so on. To be used in eval mode.
    """

    def forward(self, image: Tensor) -> Tensor:  # (N, channels, *spatial) -> (N, classes, *spatial)
        total: Tensor | None = None
        for member in self:
            own = member(image).float().log_softmax(1)
            total = own if total is None else torch.logaddexp(total, own)
        assert total is not None
        return total - log(len(self))


def build_ensemble(recipe: NetworkRecipe, members: int) -> nn.Module:
    """``members`` networks of a recipe as one; a single one is the plain network."""
    return build(recipe) if members == 1 else Ensemble(build(recipe) for _ in range(members))


def network_of(recipe: Mapping[str, Any], members: int = 1) -> nn.Module:
    """The network of a recipe as JSON has it, in eval mode: what an exported MONAI bundle names.

    Raises pydantic's ``ValidationError`` for what no recipe is.
    """
    return build_ensemble(TypeAdapter(NetworkRecipe).validate_json(json.dumps(recipe)), members).eval()


def joined(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The state dict of what ``build_ensemble`` makes, of its members' own."""
    if len(states) == 1:
        return states[0]
    return {f"{number}.{name}": values for number, state in enumerate(states) for name, values in state.items()}
