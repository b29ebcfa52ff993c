"""All cases of an evaluation together: means with their intervals, volumes, confusion, calibration, trust."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from skipseg.models.labels import Labels
from skipseg.training.judging.calibration import Calibration, Reliability
from skipseg.training.judging.cells import CellScore
from skipseg.training.judging.intervals import Interval, interval, interval_of_mean, means, resample
from skipseg.training.judging.metrics import NUMBERS, Agreement, CaseScore, mean, mean_of

Summand = TypeVar("Summand", NDArray[np.int64], Reliability)

POOR = 0.8  # a mean Dice below it is what a trust score ought to warn of


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Failure(_Frozen):
    """A case that got no score, and why."""

    case: str
    error: str


class AgreementInterval(_Frozen):
    """95 % intervals of the means in an ``Agreement``; None with fewer than two cases."""

    dice: Interval | None = None
    hd95_mm: Interval | None = None
    nsd_1mm: Interval | None = None
    iou: Interval | None = None


class Intervals(_Frozen):
    mean: AgreementInterval
    labels: dict[str, AgreementInterval]
    drawn_by: str = "case"  # or "group": cases of one group are drawn together


class VolumeAgreement(_Frozen):
    """One label's volumes in mask and truth over the cases that have it in either (Bland and Altman 1986)."""

    cases: int
    correlation: float | None  # Pearson's; None with fewer than three cases or equal volumes
    bias_mm3: float  # mean of mask less truth
    bias_interval_mm3: Interval | None
    limits_mm3: Interval | None  # bias and 1.96 standard deviations to either side: 19 of 20 errors lie within
    error_percent: float | None  # mean of the errors' sizes, each in percent of its truth


class Confusion(_Frozen):
    """Where the voxels of each label went: rows are the truth's labels, columns the mask's, a row sums to 1.

    A row without voxels is zeros. Both start with the background; the last column is what the dataset does not name.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    shares: tuple[tuple[float, ...], ...]


class TrustSummary(_Frozen):
    """Whether the trust score, which never sees a truth, tells good masks from poor ones."""

    auroc: float | None  # the chance that a good mask has the higher score; None without both kinds
    threshold: float = POOR  # a mask is poor below this mean Dice
    poor: int
    cases: int


class CellSummary(_Frozen):
    mean: CellScore
    v_rand_interval: Interval | None
    v_rand_thinned_interval: Interval | None
    threshold: str = "the mask's own: the challenge's figures are the best over thresholds"


class Metrics(_Frozen):
    """``metrics.json``. A label's numbers are means over cases, ``mean`` is the mean over labels."""

    bundle: str
    dataset: str
    mean: Agreement
    labels: dict[str, Agreement]
    intervals: Intervals | None = None
    volumes: dict[str, VolumeAgreement] = {}
    calibration: Calibration | None = None
    trust: TrustSummary | None = None
    cells: CellSummary | None = None
    confusion: Confusion | None = None
    cases: tuple[CaseScore, ...]
    failed: tuple[Failure, ...] = ()


@dataclass(frozen=True)
class Counts:
    """What is summed over the voxels of all cases."""

    confusion: NDArray[np.int64] | None = None  # (labels of the truth, labels of the mask and others)
    reliability: Reliability | None = None

    def __add__(self, other: Counts) -> Counts:
        return Counts(_sum(self.confusion, other.confusion), _sum(self.reliability, other.reliability))


def summarise(
    bundle: str,
    dataset: str,
    labels: Labels,
    cases: Sequence[CaseScore],
    failed: Sequence[Failure] = (),
    counts: Counts | None = None,
    groups: Mapping[str, str] | None = None,
) -> Metrics:
    """Means over cases per label and over labels, with what goes with them; ``groups`` maps a case to its subject."""
    names, counts = [label.name for label in labels.foreground], counts or Counts()
    per_label = {name: mean_of(case.labels[name] for case in cases) for name in names}
    subjects = None if not groups else [groups.get(case.case, case.case) for case in cases]
    return Metrics(
        bundle=bundle,
        dataset=dataset,
        mean=mean_of(per_label.values()),
        labels=per_label,
        intervals=_intervals(names, cases, subjects),
        volumes={name: one for name in names if (one := _volumes(name, cases, subjects))},
        calibration=counts.reliability.calibration() if counts.reliability else None,
        trust=_trust(cases),
        cells=_cells(cases, subjects),
        confusion=None if counts.confusion is None else _confusion(counts.confusion, labels),
        cases=tuple(cases),
        failed=tuple(failed),
    )


def auroc(scores: Sequence[float], good: Sequence[bool]) -> float | None:
    """The chance that a good one scores higher than one that is not, ties counting half (Mann and Whitney 1947)."""
    from scipy.stats import rankdata  # here, or every command and server would start half a second later

    goods = sum(good)
    pairs = goods * (len(good) - goods)
    if not pairs:
        return None
    ranks = sum(rank for rank, is_good in zip(rankdata(scores), good, strict=True) if is_good)
    return float((ranks - goods * (goods + 1) / 2) / pairs)


def _sum(one: Summand | None, other: Summand | None) -> Summand | None:
    if one is None or other is None:
        return one if other is None else other
    return one + other


def _intervals(names: Sequence[str], cases: Sequence[CaseScore], subjects: Sequence[str] | None) -> Intervals:
    """One set of draws for all numbers; a draw's mean over labels is over those that the draw has."""
    drawn = resample(len(cases), subjects)
    if drawn is None:
        return Intervals(mean=AgreementInterval(), labels={name: AgreementInterval() for name in names})
    of_mean, of_labels = {}, {name: dict[str, Interval | None]() for name in names}
    for number in NUMBERS:
        columns = [_column(name, number, cases) for name in names]
        draws = [means(column, drawn) for column in columns]
        of_mean[number] = interval(_over_labels(draws)) if _several(columns, subjects) else None
        for name, column, samples in zip(names, columns, draws, strict=True):
            of_labels[name][number] = interval(samples) if _several([column], subjects) else None
    return Intervals(
        mean=AgreementInterval(**of_mean),
        labels={name: AgreementInterval(**off) for name, off in of_labels.items()},
        drawn_by="case" if subjects is None else "group",
    )


def _several(columns: Sequence[NDArray[np.float64]], subjects: Sequence[str] | None) -> bool:
    """Whether two cases or groups have a number: a single one would be drawn alone, and look certain."""
    having = np.flatnonzero(np.isfinite(columns).any(axis=0))
    return len({i if subjects is None else subjects[i] for i in having.tolist()}) > 1


def _column(name: str, number: str, cases: Sequence[CaseScore]) -> NDArray[np.float64]:
    return np.array([getattr(case.labels[name], number) for case in cases], dtype=np.float64)  # None becomes NaN


def _over_labels(draws: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    stacked = np.stack(draws)
    known = np.isfinite(stacked)
    count = known.sum(axis=0)
    total, unknown = np.where(known, stacked, 0).sum(axis=0), np.full(count.shape, np.nan)
    return np.asarray(np.divide(total, count, out=unknown, where=count > 0))


def _volumes(name: str, cases: Sequence[CaseScore], subjects: Sequence[str] | None) -> VolumeAgreement | None:
    ours = [(i, case.labels[name]) for i, case in enumerate(cases) if case.labels[name].dice is not None]
    if not ours:
        return None
    errors = [one.mask_mm3 - one.truth_mm3 for _, one in ours]
    bias, spread = fmean(errors), 1.96 * stdev(errors) if len(errors) > 1 else None
    percents = [one.volume_error_percent for _, one in ours]
    return VolumeAgreement(
        cases=len(ours),
        correlation=_pearson([one.truth_mm3 for _, one in ours], [one.mask_mm3 for _, one in ours]),
        bias_mm3=bias,
        bias_interval_mm3=interval_of_mean(errors, subjects and [subjects[i] for i, _ in ours]),
        limits_mm3=None if spread is None else (bias - spread, bias + spread),
        error_percent=mean(None if percent is None else abs(percent) for percent in percents),
    )


def _pearson(one: Sequence[float], other: Sequence[float]) -> float | None:
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(np.corrcoef(one, other)[0, 1])


def _trust(cases: Sequence[CaseScore]) -> TrustSummary | None:
    judged = [
        (case.trust.score, case.mean.dice) for case in cases if case.trust is not None and case.mean.dice is not None
    ]
    if not judged:
        return None
    good = [dice >= POOR for _, dice in judged]
    return TrustSummary(
        auroc=auroc([score for score, _ in judged], good), poor=len(good) - sum(good), cases=len(judged)
    )


def _cells(cases: Sequence[CaseScore], subjects: Sequence[str] | None) -> CellSummary | None:
    scored = [case.cells for case in cases if case.cells is not None]
    if not scored or len(scored) < len(cases):
        return None
    columns = {name: [getattr(one, name) for one in scored] for name in CellScore.model_fields}
    return CellSummary(
        mean=CellScore(**{name: mean(values) for name, values in columns.items()}),
        v_rand_interval=interval_of_mean(columns["v_rand"], subjects),
        v_rand_thinned_interval=interval_of_mean(columns["v_rand_thinned"], subjects),
    )


def _confusion(counts: NDArray[np.int64], labels: Labels) -> Confusion:
    names = tuple(label.name for label in labels.all)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return Confusion(
        rows=names,
        columns=(*names, "other"),
        shares=tuple(tuple(float(share) for share in row) for row in shares),
    )
