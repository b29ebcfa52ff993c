"""How far a fit is, and how large a step it takes there."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Budget:
    """Either ``seconds`` of wall clock or a number of ``steps``; ``spent`` seconds went before this object was made."""

    seconds: float | None = None
    steps: int | None = None
    spent: float = 0.0
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._started = self.clock()

    def elapsed(self) -> float:
        """Seconds used, those before included."""
        return self.spent + self.clock() - self._started

    def progress(self, step: int) -> float:
        """Share of the budget used, 0 to 1; the next step may start while it is below 1."""
        if self.steps is not None:
            return min(step / self.steps, 1.0)
        assert self.seconds is not None
        used = self.elapsed()
        return min((used + 0.5 * used / max(step, 1) * (step > 20)) / self.seconds, 1.0)


def learning_rate(base: float, step: int, warm_up: int, progress: float) -> float:
    """Linear warm-up over steps, then a cosine to zero (Loshchilov 2017) over the share of the budget used."""
    return base * min(1.0, (step + 1) / warm_up) * 0.5 * (1 + math.cos(math.pi * progress))
