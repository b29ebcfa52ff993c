"""What every skip across the U has in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator
from torch import Tensor, nn

from skipseg.models.networks.kit import Kit

SKIPS: dict[str, type[Join]] = {}  # every kind, by the name that `--skip` and recipes know it by


class Join(nn.Module):
    """How features that skipped across the U meet those that came up through the decoder.

    Both have one size: (N, up, *spatial) and (N, across, *spatial) -> (N, ``width``, *spatial). A kind of skip is a
    subclass that tells its ``name``.
    """

    def __init_subclass__(cls, name: str) -> None:
        SKIPS[name] = cls

    def __init__(self, kit: Kit, up: int, across: int) -> None:
        super().__init__()
        self.width = up + across  # features after the join

    def forward(self, up: Tensor, across: Tensor) -> Tensor:
        """The features that the decoder goes on with."""
        raise NotImplementedError


def _known(skip: str) -> str:
    if skip not in SKIPS:
        raise ValueError(f"skip must be one of {', '.join(SKIPS)}; got {skip!r}")
    return skip


KindOfSkip = Annotated[str, AfterValidator(_known)]
