"""Numbers with 95 % intervals over what would differ if the study were made again: seeds, cases, draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from skipseg.training.judging.intervals import DRAWS, SEED, Interval, Numbers, interval, means, resample
from skipseg.training.study.records import Verdict

UPPER = 0.975  # of a distribution, so that 95 % lie between it and its mirror


@dataclass(frozen=True)
class Estimate:
    """A value and how far it may be off; no interval where nothing can be told of that."""

    value: float | None
    interval: Interval | None = None


NOTHING = Estimate(None)


def of_draws(values: Sequence[float]) -> Estimate:
    """The mean of a few independent numbers, with Student's interval (1908): a bootstrap of three numbers would only
    tell their range. Of a single one none."""
    known = np.array([value for value in values if np.isfinite(value)], dtype=np.float64)
    if not len(known):
        return NOTHING
    mean, off = float(known.mean()), _student(known)
    return Estimate(mean, None if off is None else (mean - off, mean + off))


def difference_of_means(a: Numbers, b: Numbers) -> Estimate:
    """A less B of independent numbers, with the interval of Welch (1947)."""
    if not len(a) or not len(b):
        return NOTHING
    value = float(a.mean() - b.mean())
    if min(len(a), len(b)) < 2:
        return Estimate(value)
    parts = [float(one.var(ddof=1)) / len(one) for one in (a, b)]
    if not sum(parts):
        return Estimate(value, (value, value))
    freedom = sum(parts) ** 2 / sum(part**2 / (len(one) - 1) for part, one in zip(parts, (a, b), strict=True))
    off = float(student.ppf(UPPER, freedom)) * sqrt(sum(parts))
    return Estimate(value, (value - off, value + off))


def median_of(times: Sequence[float]) -> Estimate:
    """The median of many numbers, which what else goes on in a moment does not move; its interval by bootstrap."""
    known = np.array(times, dtype=np.float64)
    if not len(known):
        return NOTHING
    drawn = np.random.default_rng(SEED).integers(len(known), size=(DRAWS, len(known)))
    medians: Numbers = np.median(known[drawn], axis=1)
    return Estimate(float(np.median(known)), interval(medians) if len(known) > 1 else None)


@dataclass(frozen=True, eq=False)
class Sampled:
    """A number of trained networks: its value, that of each seed alone, and that of draws of the cases.

    Differences of two are paired by seed and draw.
    """

    value: float
    of_seeds: Numbers
    of_cases: Numbers | None  # None where there are too few cases to draw

    def __sub__(self, other: Sampled) -> Sampled:
        both = None if self.of_cases is None or other.of_cases is None else self.of_cases - other.of_cases
        return Sampled(self.value - other.value, self.of_seeds - other.of_seeds, both)

    def estimate(self) -> Estimate:
        """Both ways in which it may be off, added as independent errors are: other seeds (Student), and other cases
        (bootstrap). Of a single seed only the latter."""
        if not np.isfinite(self.value):
            return NOTHING
        of_cases = None if self.of_cases is None else interval(self.of_cases)
        if of_cases is None:
            return Estimate(self.value)
        off = _student(self.of_seeds) or 0.0
        low, high = (hypot(edge - self.value, off) for edge in of_cases)
        return Estimate(self.value, (self.value - low, self.value + high))


class Table:
    """Numbers (seeds, cases) of one variation, NaN where not defined; ``groups`` names the subject of every case."""

    def __init__(self, rows: Sequence[Sequence[float | None]], groups: Sequence[str] | None = None) -> None:
        self.values: Numbers = np.array(rows, dtype=np.float64).reshape(len(rows), -1)
        self.groups = groups

    def sampled(self) -> Sampled:
        """The mean over all that is there."""
        of_seeds = np.array([_mean(row) for row in self.values], dtype=np.float64)
        of_cases = np.array([_mean(column) for column in self.values.T], dtype=np.float64)
        drawn = resample(len(of_cases), self.groups)
        return Sampled(_mean(of_cases), of_seeds, None if drawn is None else means(of_cases, drawn))

    def where(self, known: NDArray[np.bool_]) -> Table:
        """The same without the numbers that are not ``known`` (seeds, cases)."""
        return Table(np.where(known, self.values, np.nan).tolist(), self.groups)


def difference(a: Table, b: Table) -> Sampled:
    """B less A over the seeds and cases that both have, paired."""
    return Table((b.values - a.values).tolist(), a.groups).sampled()


def relative_fall(a: Table, b: Table, rises: bool = False) -> Sampled:
    """How far B's mean lies below A's, as a share of A's (``rises``: above), over what both have."""
    both = np.isfinite(a.values) & np.isfinite(b.values)
    of_a, of_b = (one.where(both).sampled() for one in (a, b))
    sign = -1.0 if rises else 1.0
    drawn = None if of_a.of_cases is None or of_b.of_cases is None else sign * _loss(of_a.of_cases, of_b.of_cases)
    value = sign * float(_loss(np.array([of_a.value]), np.array([of_b.value]))[0])
    return Sampled(value, sign * _loss(of_a.of_seeds, of_b.of_seeds), drawn)


def above(found: Estimate, than: float = 0.0) -> Verdict:
    """Confirmed when all of the interval lies above, refuted when all of it lies below, else undecided."""
    if found.interval is None:
        return "undecided"
    low, high = found.interval
    return "confirmed" if low > than else "refuted" if high < than else "undecided"


def below(found: Estimate, than: float = 0.0) -> Verdict:
    """The reverse of ``above``."""
    return reversed_verdict(above(found, than))


def reversed_verdict(verdict: Verdict) -> Verdict:
    """That of the contrary claim."""
    return "refuted" if verdict == "confirmed" else "confirmed" if verdict == "refuted" else "undecided"


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


def _loss(a: Numbers, b: Numbers) -> Numbers:
    """From A to B by A; NaN where there was nothing to lose."""
    return np.asarray(1 - np.divide(b, a, out=np.full(a.shape, np.nan), where=a != 0))


def _student(values: Numbers) -> float | None:
    """Half of the interval of the mean of independent numbers; None with fewer than two."""
    known = values[np.isfinite(values)]
    if len(known) < 2:
        return None
    return float(student.ppf(UPPER, len(known) - 1) * known.std(ddof=1) / sqrt(len(known)))


def _mean(values: Numbers) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
