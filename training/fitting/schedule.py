"""How far a fit is, and how large a step it takes there."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

MOST_KEPT_BACK = 0.6  # of the seconds
COOLING_SHARE = 0.1  # of the steps so far
FEWEST_COOLING_STEPS = 20
CAUTIOUS_STEPS = 20  # the first ones are slow: kernels are set up in them


@dataclass
class Budget:
    """Either ``seconds`` of wall clock or a number of ``steps``.

    ``spent`` seconds went before this object was made, and the last ``reserve`` are left to what comes after the fit.
    """

    seconds: float | None = None
    steps: int | None = None
    spent: float = 0.0
    reserve: float = 0.0
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._started = self.clock()
        self._first: int | None = None  # step at the first look at progress

    def elapsed(self) -> float:
        """Seconds used, those before included."""
        return self.spent + self.clock() - self._started

    def keep_back(self, seconds: float) -> None:
        """Leave ``seconds`` to what comes after the fit; but some of the time is for the fit, whatever happens then."""
        assert self.seconds is not None
        self.reserve = min(seconds, MOST_KEPT_BACK * self.seconds)

    def progress(self, step: int) -> float:
        """Share of the budget used, 0 to 1; the next step may start while it is below 1.

        With seconds that is when at least half of the next step fits in, so that on average the end is kept.
        """
        if self.steps is not None:
            return min(step / self.steps, 1.0)
        assert self.seconds is not None
        used = self.elapsed()
        self._first = step if self._first is None else self._first
        made = step - self._first
        half = 0.5 * (used - self.spent) / made if made > CAUTIOUS_STEPS else 0.0
        return min((used + half) / max(self.seconds - self.reserve, 1e-9), 1.0)


@dataclass(frozen=True)
class CoolDown:
    """The end of a fit that has reached its aim: the learning rate sinks to zero over a last few steps.

    A network is at its best when the rate has sunk, so one that is good enough before will be better after.
    """

    start: int
    steps: int

    @staticmethod
    def after(step: int) -> CoolDown:
        """A tenth of the steps so far, 20 at least."""
        return CoolDown(step, max(round(COOLING_SHARE * step), FEWEST_COOLING_STEPS))

    def factor(self, step: int) -> float:
        """What the learning rate is multiplied by."""
        return max(1 - (step - self.start) / self.steps, 0.0)

    def over(self, step: int) -> bool:
        return step >= self.start + self.steps


def learning_rate(base: float, step: int, warm_up: int, progress: float) -> float:
    """Linear warm-up over steps, then a cosine to zero (Loshchilov 2017) over the share of the budget used."""
    return base * min(1.0, (step + 1) / warm_up) * 0.5 * (1 + math.cos(math.pi * progress))
