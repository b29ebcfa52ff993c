"""What crosses the U, and what becomes of a trained network when one of its skips carries nothing, or another's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from skipseg.models.errors import UsageError
from skipseg.training.study.activations import hooked

Change = Callable[[Tensor], Tensor]


def joins_of(network: nn.Module) -> nn.ModuleList:
    """The joins of a network of ours, coarsest first. Raises ``UsageError`` for one that has none."""
    joins = getattr(network, "joins", None)
    if not isinstance(joins, nn.ModuleList):
        raise UsageError(f"skips are looked at in the U-Net's joins; {type(network).__name__} has none")
    return joins


def zeroed(across: Tensor) -> Tensor:
    """Nothing crosses."""
    return torch.zeros_like(across)


def shuffled(across: Tensor) -> Tensor:
    """Each image of a batch gets what crossed for the one before it. Raises ``UsageError`` for a single one."""
    if len(across) < 2:
        raise UsageError("to shuffle a skip across cases takes two of them at least")
    return across.roll(1, 0)


@contextmanager
def changed(network: nn.Module, place: int, change: Change) -> Iterator[None]:
    """Within the block the skip of one join carries what ``change`` makes of it."""

    def swap(_: nn.Module, passed: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        up, across = passed
        return up, change(across)

    with hooked([joins_of(network)[place].register_forward_pre_hook(swap)]):
        yield


class OfAnother(nn.Module):
    """A network in which one skip carries the features of another case.

    ``forward`` takes one tile (1, C, *tile); the other case's (C, *tile) goes through the network beside it.
    """

    def __init__(self, network: nn.Module, place: int, other: Tensor) -> None:
        super().__init__()
        self.network, self.place, self.other = network, place, other

    def forward(self, tile: Tensor) -> Tensor:
        both = torch.cat([tile, self.other[None].to(tile)])
        with changed(self.network, self.place, shuffled):
            answer: Tensor = self.network(both)
        return answer[:1]


@torch.no_grad()
def crossings(network: nn.Module, images: Tensor) -> list[tuple[Tensor, Tensor]]:
    """What each join was given for some images: features from below and across, coarsest first."""
    seen: list[tuple[Tensor, Tensor]] = []

    def look(_: nn.Module, passed: tuple[Tensor, Tensor]) -> None:
        seen.append((passed[0].detach().clone(), passed[1].detach().clone()))

    with hooked([join.register_forward_pre_hook(look) for join in joins_of(network)]):
        network(images)
    return seen


def effective_rank(features: Tensor) -> float:
    """How many independent directions features (N, C, *spatial) use, between 1 and C (Roy and Vetterli 2007): the
    exponential of the entropy of the singular values of voxels by features, their means taken off; 0 when constant."""
    rows = features.detach().float().movedim(1, -1).flatten(0, -2).double()
    spread = torch.linalg.eigvalsh(torch.cov(rows.T).reshape(rows.shape[1], rows.shape[1])).clamp_min(0).sqrt()
    if float(spread.sum()) <= 1e-12:
        return 0.0
    shares = spread / spread.sum()
    return float(torch.exp(-torch.special.xlogy(shares, shares).sum()))
