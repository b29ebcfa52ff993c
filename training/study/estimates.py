"""Numbers with 95 % intervals, drawn over what would differ if the study were made again: seeds, cases, draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skipseg.training.judging.intervals import DRAWS, SEED, Interval, Numbers, interval, means, resample
from skipseg.training.study.records import Verdict


@dataclass(frozen=True)
class Estimate:
    """A value and how far it may be off; no interval where nothing can be drawn."""

    value: float | None
    interval: Interval | None = None


NOTHING = Estimate(None)


def of_draws(values: Sequence[float]) -> Estimate:
    """The mean of independent numbers, and its interval over them; of a single one none."""
    known = np.array([value for value in values if np.isfinite(value)], dtype=np.float64)
    if not len(known):
        return NOTHING
    drawn = resample(len(known))
    return Estimate(float(known.mean()), None if drawn is None else interval(means(known, drawn)))


def median_of(times: Sequence[float]) -> Estimate:
    """As ``of_draws`` for the median, which what else goes on in a moment does not move."""
    known = np.array(times, dtype=np.float64)
    if not len(known):
        return NOTHING
    drawn = np.random.default_rng(SEED).integers(len(known), size=(DRAWS, len(known)))
    medians: Numbers = np.median(known[drawn], axis=1)
    return Estimate(float(np.median(known)), interval(medians) if len(known) > 1 else None)


class Table:
    """Numbers (seeds, cases) of one variation, NaN where not defined. Draws are the same for all tables of a shape.

    Seeds and cases are both drawn with replacement, so an interval covers another training as well as other cases.
    With one seed it cannot, and says less than it seems to.
    """

    def __init__(self, rows: Sequence[Sequence[float | None]], groups: Sequence[str] | None = None) -> None:
        self.values: Numbers = np.array(rows, dtype=np.float64).reshape(len(rows), -1)
        self.groups = groups

    @property
    def seeds(self) -> int:
        return int(self.values.shape[0])

    @property
    def cases(self) -> int:
        return int(self.values.shape[1])

    def mean(self) -> float:
        """Over all that is there."""
        return float(np.nanmean(self.values)) if np.isfinite(self.values).any() else float("nan")

    def draws(self) -> Numbers | None:
        """The mean of each draw (DRAWS,), or None when there is nothing to draw."""
        of_cases = resample(self.cases, self.groups)
        if of_cases is None:
            return None
        chance = np.random.default_rng(SEED)
        of_seeds = chance.multinomial(self.seeds, np.full(self.seeds, 1 / self.seeds), size=DRAWS).astype(np.float64)
        known = np.isfinite(self.values)
        total = np.einsum("ds,sc,dc->d", of_seeds, np.where(known, self.values, 0.0), of_cases)
        count = np.einsum("ds,sc,dc->d", of_seeds, known.astype(np.float64), of_cases)
        return np.asarray(np.divide(total, count, out=np.full(DRAWS, np.nan), where=count > 0))

    def estimate(self) -> Estimate:
        """The mean and its interval."""
        drawn = self.draws()
        return Estimate(_known(self.mean()), None if drawn is None else interval(drawn))


def difference(a: Table, b: Table) -> Estimate:
    """B less A over the seeds and cases that both have, paired."""
    gains = Table((b.values - a.values).tolist(), a.groups)
    return gains.estimate()


def relative_fall(a: Table, b: Table, rises: bool = False) -> tuple[Estimate, Numbers | None]:
    """How far B's mean lies below A's, as a share of A's (``rises``: above); and the draws of it, paired."""
    both = np.isfinite(a.values) & np.isfinite(b.values)
    kept = [Table(np.where(both, one.values, np.nan).tolist(), one.groups) for one in (a, b)]
    sign = -1.0 if rises else 1.0
    value = sign * (1 - kept[1].mean() / kept[0].mean())
    of_a, of_b = (one.draws() for one in kept)
    if of_a is None or of_b is None:
        return Estimate(_known(value)), None
    drawn: Numbers = sign * (1 - of_b / of_a)
    return Estimate(_known(value), interval(drawn)), drawn


def above(found: Estimate, than: float = 0.0) -> Verdict:
    """Confirmed when all of the interval lies above, refuted when all of it lies below, else undecided."""
    if found.interval is None:
        return "undecided"
    low, high = found.interval
    return "confirmed" if low > than else "refuted" if high < than else "undecided"


def below(found: Estimate, than: float = 0.0) -> Verdict:
    """The reverse of ``above``."""
    return {"confirmed": "refuted", "refuted": "confirmed", "undecided": "undecided"}[above(found, than)]  # type: ignore[return-value]


def within(found: Estimate, reach: float) -> Verdict:
    """Confirmed when all of the interval lies less than ``reach`` from 0, refuted when all of it lies farther."""
    if found.interval is None:
        return "undecided"
    low, high = found.interval
    if -reach < low and high < reach:
        return "confirmed"
    return "refuted" if low > reach or high < -reach else "undecided"


def together(verdicts: Sequence[Verdict]) -> Verdict:
    """Of the parts of one claim: refuted when one is, confirmed when all are, else undecided."""
    if "refuted" in verdicts:
        return "refuted"
    return "confirmed" if verdicts and all(one == "confirmed" for one in verdicts) else "undecided"


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None
