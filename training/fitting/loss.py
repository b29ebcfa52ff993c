"""What the network is told: Dice and cross-entropy at every resolution it answers at."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional


def dice_and_cross_entropy(
    logits: Tensor, classes: Tensor, whole_batch: bool, total_of: Callable[[Tensor], Tensor] = lambda sums: sums
) -> Tensor:
    """Soft Dice loss (Milletari 2016) plus cross-entropy, of logits (N, K, *spatial) and classes (N, *spatial).

    Dice leaves the background out; with ``whole_batch`` it is taken over the batch as one volume, which is steadier
    where a patch often holds no voxel of a label; ``total_of`` then adds up what several processes that share a batch
    counted.
    """
    entropy = functional.cross_entropy(logits, classes)
    shares = logits.softmax(1)[:, 1:]
    truth = torch.zeros_like(shares).scatter_(1, (classes[:, None] - 1).clamp_min(0), 1.0) * (classes[:, None] > 0)
    axes = (*(() if not whole_batch else (0,)), *range(2, logits.ndim))
    shared, total = (shares * truth).sum(axes), (shares + truth).sum(axes)
    if whole_batch:
        shared, total = total_of(torch.stack([shared, total])).unbind()
    return entropy + 1 - ((2 * shared + 1e-5) / (total + 1e-5).clamp_min(1e-5)).mean()


def deep_supervision(
    outputs: list[Tensor],
    classes: Tensor,
    whole_batch: bool,
    total_of: Callable[[Tensor], Tensor] = lambda sums: sums,
) -> Tensor:
    """The loss at each resolution, halving in weight from fine to coarse (Isensee 2021); truth by nearest voxel."""
    weights = [0.5**i for i in range(len(outputs))]
    total = torch.zeros((), device=classes.device)
    for weight, logits in zip(weights, outputs, strict=True):
        total = total + weight / sum(weights) * dice_and_cross_entropy(
            logits.float(), shrink(classes, logits.shape[2:]), whole_batch, total_of
        )
    return total


def shrink(classes: Tensor, size: torch.Size) -> Tensor:
    """Classes (N, *spatial) at a coarser grid, nearest voxel."""
    if classes.shape[1:] == size:
        return classes
    return functional.interpolate(classes[:, None].float(), size=list(size), mode="nearest-exact")[:, 0].long()


@torch.no_grad()
def batch_dice(logits: Tensor, classes: Tensor) -> float | None:
    """Mean Dice of hard labels over the classes present in a batch, None without any: an impression, no evaluation."""
    found = logits.argmax(1)
    scores = []
    for value in range(1, logits.shape[1]):
        ours, truth = found == value, classes == value
        if truth.any():
            scores.append(2.0 * (ours & truth).sum().item() / (ours.sum() + truth.sum()).item())
    return sum(scores) / len(scores) if scores else None
