"""Paired differences between two models over the cases that both have a number for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np
from pydantic import BaseModel, ConfigDict

from skipseg.training.judging.intervals import Interval, interval_of_mean
from skipseg.training.judging.metrics import NUMBERS, Agreement, CaseScore
from skipseg.training.judging.summary import Failure, Metrics

SMALLER_IS_BETTER = ("hd95_mm",)
SAME = 1e-9  # differences below are rounding

Pair = tuple[CaseScore, CaseScore]  # one case under both models


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Difference(_Frozen):
    """One number, B less A, over the cases for which both have it."""

    cases: int
    a: float | None  # the mean over these cases
    b: float | None
    difference: float | None
    interval: Interval | None  # 95 %, bootstrapped over cases or their groups
    p: float | None  # Wilcoxon's signed-rank test (1945), two-sided; None where no case differs
    wins: int  # cases in which B is better
    losses: int
    ties: int


class Differences(_Frozen):
    dice: Difference
    hd95_mm: Difference
    nsd_1mm: Difference
    iou: Difference


class LabelChange(_Frozen):
    """A label's Dice in a case under both models; None where it is absent."""

    a: float | None
    b: float | None


class Change(_Frozen):
    """A case's mean Dice under both models; None where all labels are absent."""

    case: str
    a: float | None
    b: float | None
    difference: float | None
    labels: dict[str, LabelChange] = {}  # none in what was written before there were any


class Comparison(_Frozen):
    """``comparison.json``. ``mean`` compares the cases' means over labels; ``cases`` starts with the largest change."""

    a: str
    b: str
    dataset: str
    mean: Differences
    labels: dict[str, Differences]
    learned: dict[str, tuple[str, ...]]  # for ``a`` and ``b`` the cases it was trained on, whose figures flatter it
    cases: tuple[Change, ...]
    failed: tuple[Failure, ...] = ()  # under either model; in no difference


def pairs_of(a: Metrics, b: Metrics) -> list[Pair]:
    """The cases that both models have a score for, in their order."""
    known = {case.case: case for case in a.cases}
    return [(known[case.case], case) for case in b.cases if case.case in known]


def compare_scores(
    a: Metrics, b: Metrics, learned: Mapping[str, Sequence[str]], groups: Mapping[str, str] | None = None
) -> Comparison:
    """Compare two evaluations of one dataset; ``groups`` maps a case to its subject."""
    pairs = pairs_of(a, b)
    subjects = [groups.get(one.case, one.case) for one, _ in pairs] if groups else None
    return Comparison(
        a=a.bundle,
        b=b.bundle,
        dataset=a.dataset,
        mean=_differences([(one.mean, other.mean) for one, other in pairs], subjects),
        labels={
            name: _differences([(one.labels[name], other.labels[name]) for one, other in pairs], subjects)
            for name in a.labels
        },
        learned={name: tuple(cases) for name, cases in learned.items()},
        cases=tuple(sorted((_change(pair) for pair in pairs), key=lambda one: -abs(one.difference or 0.0))),
        failed=tuple({failure.case: failure for failure in (*a.failed, *b.failed)}.values()),
    )


def difference(
    a: Sequence[float | None], b: Sequence[float | None], smaller: bool, subjects: Sequence[str] | None = None
) -> Difference:
    """Compare two columns of numbers, case by case; ``smaller`` numbers are better or not."""
    from scipy.stats import wilcoxon  # here, or every command and server would start half a second later

    both = [i for i, pair in enumerate(zip(a, b, strict=True)) if None not in pair]
    ours, theirs = (np.array([column[i] for i in both], dtype=np.float64) for column in (a, b))
    gains = theirs - ours
    better = -gains if smaller else gains
    return Difference(
        cases=len(both),
        a=fmean(ours) if both else None,
        b=fmean(theirs) if both else None,
        difference=fmean(gains) if both else None,
        interval=interval_of_mean(gains.tolist(), subjects and [subjects[i] for i in both]),
        p=float(wilcoxon(gains).pvalue) if (np.abs(gains) > SAME).any() else None,
        wins=int((better > SAME).sum()),
        losses=int((better < -SAME).sum()),
        ties=int((np.abs(better) <= SAME).sum()),
    )


def _differences(pairs: Sequence[tuple[Agreement, Agreement]], subjects: Sequence[str] | None) -> Differences:
    return Differences(
        **{
            number: difference(
                [getattr(a, number) for a, _ in pairs],
                [getattr(b, number) for _, b in pairs],
                number in SMALLER_IS_BETTER,
                subjects,
            )
            for number in NUMBERS
        }
    )


def _change(pair: Pair) -> Change:
    one, other = pair
    a, b = one.mean.dice, other.mean.dice
    labels = {name: LabelChange(a=one.labels[name].dice, b=other.labels[name].dice) for name in one.labels}
    return Change(case=one.case, a=a, b=b, difference=None if a is None or b is None else b - a, labels=labels)
