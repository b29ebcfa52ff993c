"""What is made of readings, and how sizes are written."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median

from skipseg.models.errors import UsageError

Shape = tuple[int, int, int]
Progress = Callable[[int, int], None]


class Steps:
    """Tells ``progress(done, total)`` of steps of which only the number is known."""

    def __init__(self, total: int, progress: Progress) -> None:
        self._done, self._total, self._progress = 0, total, progress
        progress(0, total)

    def step(self) -> None:
        """One more is done."""
        self._done += 1
        self._progress(self._done, self._total)


@dataclass(frozen=True)
class Seconds:
    """Readings of one thing, in order."""

    readings: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.readings)

    def percentile(self, percent: float) -> float:
        """The smallest reading that is not exceeded by so many percent of them."""
        return sorted(self.readings)[max(ceil(percent / 100 * len(self.readings)) - 1, 0)]


def paired_ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """The middle one of the ratios of readings that were taken in turn: a machine that drifts is fair to both."""
    return median(one / other for one, other in zip(above, below, strict=True))


def shape_of(text: str, option: str) -> Shape:
    """``256x256x128`` as three numbers; raises ``UsageError``."""
    if not re.fullmatch(r"[1-9]\d{0,4}x[1-9]\d{0,4}x[1-9]\d{0,4}", text):
        raise UsageError(f"{option} needs three numbers of voxels, such as 256x256x128; got {text!r}")
    x, y, z = map(int, text.split("x"))
    return x, y, z
