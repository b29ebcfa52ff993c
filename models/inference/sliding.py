"""A whole image through a network that sees one tile at a time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skipseg.models.inference.backends.eager import Eager
from skipseg.models.inference.flight import Flight, Way, fly_alone
from skipseg.models.inference.whole import Whole
from skipseg.models.plan import Plan
from skipseg.models.precision import Precision


def scores_of(image: Tensor, network: nn.Module, plan: Plan, device: torch.device, precision: Precision) -> Tensor:
    """Scores (classes, X, Y, Z) of an image (channels, X, Y, Z), overlapping tiles blended, on ``device``.

    ``network`` is in eval mode on ``device``.
    """
    whole = Whole()
    fly_alone(Flight(image, Way.of(plan), Eager(network, device, precision), lambda: [whole]))
    return whole.scores
