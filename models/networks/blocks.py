"""Blocks a U-Net is built of, and the additive skip of residual learning (He 2015) around them.

A block is a branch of convolutions and, when residual, a skip that adds the input to what the branch made of it. Its
plain twin has the same branch without the skip.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from skipseg.models.networks.kit import POOL, Kit

BlockKind = Literal["basic", "preactivation", "bottleneck"]
NARROWER = 4  # times fewer features inside a bottleneck


class BasicBlock(nn.Module):
    """Two convolutions (He 2015, Figure 2; without the skip those of Ronneberger 2015):
    (N, came, *spatial) -> (N, goes, *ceil(spatial / stride))."""

    def __init__(
        self, kit: Kit, came: int, goes: int, kernel: Sequence[int], stride: Sequence[int], residual: bool
    ) -> None:
        super().__init__()
        self.first = kit.unit(came, goes, kernel, stride)
        self.second = nn.Sequential(kit.convolution(goes, goes, kernel), kit.normed(goes))
        self.skip = identity_or_projection(kit, came, goes, stride) if residual else None
        self.last = kit.active()
        self.register_load_state_dict_pre_hook(_as_named_before)

    def forward(self, image: Tensor) -> Tensor:
        answer: Tensor = self.last(_added(self.second(self.first(image)), self.skip, image))
        return answer


class PreactivationBlock(nn.Module):
    """Norm and activation before each convolution (He 2016): nothing stands in the way of what the skip carries."""

    def __init__(
        self, kit: Kit, came: int, goes: int, kernel: Sequence[int], stride: Sequence[int], residual: bool
    ) -> None:
        super().__init__()
        self.first = _before(kit, kit.convolution(came, goes, kernel, stride), came)
        self.second = _before(kit, kit.convolution(goes, goes, kernel), goes)
        self.skip = identity_or_projection(kit, came, goes, stride) if residual else None

    def forward(self, image: Tensor) -> Tensor:
        return _added(self.second(self.first(image)), self.skip, image)


class BottleneckBlock(nn.Module):
    """A convolution of a quarter of the features between two of one voxel (He 2015, Figure 5): deep for few weights."""

    def __init__(
        self, kit: Kit, came: int, goes: int, kernel: Sequence[int], stride: Sequence[int], residual: bool
    ) -> None:
        super().__init__()
        inside = max(goes // NARROWER, 1)
        self.narrow = kit.unit(came, inside, kit.each(1))
        self.look = kit.unit(inside, inside, kernel, stride)
        self.widen = nn.Sequential(kit.pointwise(inside, goes), kit.normed(goes))
        self.skip = identity_or_projection(kit, came, goes, stride) if residual else None
        self.last = kit.active()

    def forward(self, image: Tensor) -> Tensor:
        answer: Tensor = self.last(_added(self.widen(self.look(self.narrow(image))), self.skip, image))
        return answer


Block = BasicBlock | PreactivationBlock | BottleneckBlock
BLOCKS: dict[BlockKind, type[Block]] = {
    "basic": BasicBlock,
    "preactivation": PreactivationBlock,
    "bottleneck": BottleneckBlock,
}


def identity_or_projection(kit: Kit, came: int, goes: int, stride: Sequence[int]) -> nn.Module:
    """The skip of a residual block: nothing to learn when shapes agree, a projection when they do not.

    That is average pooling by the stride, then a convolution of one voxel (the ResNet-D shortcut, He 2019, which drops
    no voxel).
    """
    steps: list[nn.Module] = []
    if any(step > 1 for step in stride):
        steps.append(POOL[kit.dimensions](tuple(stride), tuple(stride), ceil_mode=True))
    if came != goes:
        steps += [kit.pointwise(came, goes), kit.normed(goes)]
    return nn.Sequential(*steps) if steps else nn.Identity()


def _as_named_before(block: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Bundles of version 0.1 call the two convolutions of a plain block 0 and 1."""
    for number, name in enumerate(("first.", "second.")):
        old = f"{prefix}{number}."
        for found in [key for key in state if key.startswith(old)]:
            state[prefix + name + found.removeprefix(old)] = state.pop(found)


def _before(kit: Kit, convolution: nn.Module, features: int) -> nn.Sequential:
    return nn.Sequential(kit.normed(features), kit.active(in_place=False), convolution)  # the skip holds the original


def _added(branch: Tensor, skip: nn.Module | None, image: Tensor) -> Tensor:
    return branch if skip is None else branch + skip(image)
