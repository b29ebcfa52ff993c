"""What the networks of a training with folds share: cases, plan, time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from skipseg.models.bundle import MOST_MEMBERS
from skipseg.training.datasets.dataset import Case, Dataset
from skipseg.training.datasets.split import Split
from skipseg.training.fitting.cache import CaseFiles
from skipseg.training.fitting.validate import Validation
from skipseg.training.runs.fold_wishes import FoldWishes
from skipseg.training.runs.single import Conditions

MOST_RESERVE = 0.5  # of all time may be kept back for the evaluation


@dataclass
class Clock:
    """Seconds of a run, those before it was killed and resumed included."""

    started: float  # on time.monotonic's clock
    reserve: float = 0.0  # to be left for the evaluation at the end
    before: float = 0.0
    rehearsed: float = 0.0  # that the last rehearsal of the evaluation took

    def elapsed(self) -> float:
        """Until now."""
        return self.before + time.monotonic() - self.started

    @contextmanager
    def counting(self) -> Iterator[Callable[[float], None]]:
        """A fit takes place in the block and then tells how many seconds it took, those before a kill included."""
        began = self.elapsed()

        def used(seconds: float) -> None:
            self.before += max(seconds - (self.elapsed() - began), 0.0)

        yield used


@dataclass(frozen=True)
class Course:
    """Everything that the networks of a run share."""

    dataset: Dataset
    split: Split  # the cases of all folds, and what is kept out of all of them
    folds: Sequence[Split]
    wishes: FoldWishes
    conditions: Conditions
    cached: dict[str, CaseFiles]  # by case
    work: Path
    clock: Clock

    def validation(self, cases: Sequence[Case]) -> Validation:
        """For a look at cases on the way."""
        setup = self.conditions.setup
        return Validation(self.files(cases), setup.plan.plan, self.conditions.device, setup.precision)

    def files(self, cases: Sequence[Case]) -> list[CaseFiles]:
        """Cases on the plan's grid."""
        return [self.cached[case.name] for case in cases]

    def seconds(self, left: float) -> float | None:
        """Of one network, when the time there is has to do for ``left`` of them; None for a number of epochs."""
        setup = self.conditions.setup
        if setup.minutes is None:
            return None
        total = 60 * setup.minutes * self.wishes.networks
        return max(total - min(self.clock.reserve, MOST_RESERVE * total) - self.clock.elapsed(), 0.0) / left

    def seed(self, number: int) -> int:
        """Of the random choices of one network; the one that is distilled comes after all members."""
        return self.conditions.setup.seed * (MOST_MEMBERS + 1) + number
