"""A smaller overlap of tiles than the plan's, and what it was seen to do to masks: fewer tiles for the same mask.

What a network answers for a tile depends on no other tile, so an overlap needs nothing made ready, takes no memory and
holds up nobody. Whether masks stay as good where tiles meet depends on the network, and is measured
(``skipseg models tune``).
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Change(BaseModel):
    """Of a mean Dice over cases, from the plan's overlap to the smaller one."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    by: float = Field(ge=-1, le=1)
    low: float | None = Field(default=None, ge=-1, le=1)  # of its 95 % interval, paired; None with fewer than two cases
    high: float | None = Field(default=None, ge=-1, le=1)

    def __str__(self) -> str:
        """Such as ``-0.0002 (-0.0007 to +0.0003)``."""
        interval = "" if self.low is None or self.high is None else f" ({self.low:+.4f} to {self.high:+.4f})"
        return f"{self.by:+.4f}{interval}"


class FewerTiles(BaseModel):
    """An overlap that was held to the plan's, on cases that the network did not learn from."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    overlap: float = Field(ge=0, lt=0.95)
    dataset: str  # its name
    cases: int = Field(ge=1)  # that have fewer tiles by it; those of the same tiles prove nothing
    tiles: float = Field(gt=0, lt=1)  # of these cases, as a share of what the plan's overlap makes
    dice: Change
    labels: dict[str, Change]

    def __str__(self) -> str:
        return (
            f"tiles overlap by {self.overlap:g}, {self.tiles:.0%} of the plan's tiles, which changed the mean Dice of "
            f"{self.cases} cases that it did not learn from by {self.dice}"
        )
