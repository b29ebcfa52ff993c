"""Learning from cases in which not every label was annotated.

Where nobody annotated a label X, voxels called background may be X. So no class is held against such a case that its
truth could not name: the probability of every label not annotated in it counts as the background's (marginal loss:
Fang 2020; Shi 2021, Medical Image Analysis 70).
"""

from __future__ import annotations

import torch
from torch import Tensor

NEVER = -1e4  # a logit whose probability is 0, without the infinities that gradients do not survive


def merge_unannotated(logits: Tensor, annotated: Tensor | None) -> Tensor:
    """Logits (N, K, *spatial) with classes that ``annotated`` (N, K) leaves out merged into the background.

    Softmax of the result holds 0 for them, and for the background the sum of its own and theirs. None leaves out none.
    """
    if annotated is None or bool(annotated.all()):
        return logits
    logits = logits.float()
    absent = ~annotated.to(logits.device)
    absent[:, 0] = False
    absent = absent.reshape(*absent.shape, *(1,) * (logits.ndim - 2))
    background = torch.cat([logits[:, :1], logits.masked_fill(~absent, NEVER)[:, 1:]], 1).logsumexp(1, keepdim=True)
    return torch.cat([background, logits.masked_fill(absent, NEVER)[:, 1:]], 1)
