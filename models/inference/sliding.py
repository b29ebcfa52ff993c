"""A whole image through a network that sees one tile at a time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from skipseg.models.inference.tiles import Tiling, blend, pad_to_tile
from skipseg.models.plan import Plan
from skipseg.models.precision import Precision, autocast


def scores_of(image: Tensor, network: nn.Module, plan: Plan, device: torch.device, precision: Precision) -> Tensor:
    """Scores (classes, *spatial) of an image (channels, *spatial), overlapping tiles blended, on ``device``.

    ``network`` is in eval mode on ``device``; the caller holds ``torch.inference_mode``.
    """
    padded, inside = pad_to_tile(image, plan.tile)
    tiling = Tiling.over(padded.shape[1:], plan.tile, plan.overlap)
    if len(tiling) == 1:
        return _logits(padded, network, device, precision)[(slice(None), *inside)]
    scores = torch.zeros(plan.network.classes, *padded.shape[1:], device=device)
    for place, weights in tiling.windows():
        blend(scores, _logits(padded[(slice(None), *place)], network, device, precision), place, weights)
    return scores[(slice(None), *inside)]


def _logits(tile: Tensor, network: nn.Module, device: torch.device, precision: Precision) -> Tensor:
    with autocast(device, precision):
        logits: Tensor = network(tile[None].to(device))
    return logits[0].float()
