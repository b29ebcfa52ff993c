"""Which series of a study is meant, and what may be done to make a regular grid of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

from skipseg.models.errors import UsageError

GeometryWish = Literal["strict", "resample"]


@dataclass(frozen=True)
class SeriesRule:
    """What a channel of a plan says of its series; None says nothing."""

    modality: str | None = None  # such as MR, as DICOM writes it
    description: str | None = None  # is somewhere in the series' description, in any case: ``t1 post``

    @property
    def says_something(self) -> bool:
        return self.modality is not None or self.description is not None


@dataclass(frozen=True)
class SeriesChoice:
    """Which series is read, and how.

    ``series`` is a Series Instance UID; for several channels one for each, separated by commas. ``geometry``:
    ``strict`` refuses slices that lie on no regular grid, ``resample`` interpolates them onto one. ``rules``: one for
    each channel of a plan, in order; they pick where no ``series`` is given.
    """

    series: str | None = None
    geometry: GeometryWish = "strict"
    rules: tuple[SeriesRule, ...] = ()

    def __post_init__(self) -> None:
        if self.geometry not in get_args(GeometryWish):
            raise UsageError(f"geometry is {' or '.join(get_args(GeometryWish))}; got {self.geometry!r}")
        if self.series is not None and not all(set(uid) <= set("0123456789.") and uid for uid in self.named):
            raise UsageError("a series is named by its Series Instance UID, digits and dots")

    @property
    def named(self) -> tuple[str, ...]:
        """The UIDs that were given, one for each channel."""
        return () if self.series is None else tuple(uid.strip() for uid in self.series.split(","))

    def of_channel(self, number: int) -> SeriesChoice:
        """The choice of one channel alone, counted from 0."""
        uid = self.named[number] if number < len(self.named) else None
        return replace(self, series=uid, rules=self.rules[number : number + 1])


AS_STORED = SeriesChoice()
