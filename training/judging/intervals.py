"""How far a mean over cases may be off: percentile bootstrap (Efron 1979), over groups where cases belong together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Interval = tuple[float, float]
Numbers = NDArray[np.float64]

DRAWS = 2000
SEED = 20150518  # equal cases give equal intervals
TAILS = (2.5, 97.5)  # percentiles: 95 % lie between


def resample(cases: int, groups: Sequence[str] | None = None) -> Numbers | None:
    """How often each draw with replacement holds each case: (DRAWS, cases), or None where there is nothing to draw.

    ``groups`` names the subject of every case; all cases of a subject are drawn together, since they are no
    independent witnesses.
    """
    names, belongs = np.unique(np.array(groups if groups is not None else range(cases)), return_inverse=True)
    if len(names) < 2:
        return None
    chance = np.random.default_rng(SEED)
    drawn = chance.multinomial(len(names), np.full(len(names), 1 / len(names)), size=DRAWS)
    return np.asarray(drawn[:, belongs], dtype=np.float64)


def means(values: Numbers, drawn: Numbers) -> Numbers:
    """Of every draw the mean over its cases that have a value (DRAWS,); NaN where none has."""
    known = np.isfinite(values)
    total, count = drawn @ np.where(known, values, 0.0), drawn @ known.astype(np.float64)
    return np.asarray(np.divide(total, count, out=np.full(len(drawn), np.nan), where=count > 0))


def interval(samples: Numbers) -> Interval | None:
    """The middle 95 % of what the draws gave; None when none gave a number."""
    finite = samples[np.isfinite(samples)]
    if not len(finite):
        return None
    low, high = np.percentile(finite, TAILS)
    return float(low), float(high)


def interval_of_mean(values: Sequence[float | None], groups: Sequence[str] | None = None) -> Interval | None:
    """The interval of one mean; None with fewer than two cases (or groups) that have a value."""
    known = [i for i, value in enumerate(values) if value is not None]
    drawn = resample(len(known), None if groups is None else [groups[i] for i in known])
    return None if drawn is None else interval(means(np.array([values[i] for i in known], dtype=np.float64), drawn))
