"""What claims ask of a study's runs: twins, tables, ratios, falls."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10

import numpy as np

from skipseg.training.judging.intervals import DRAWS, SEED, Interval, Numbers, interval, means, resample
from skipseg.training.study.estimates import NOTHING, Estimate, Table, difference, of_draws, relative_fall
from skipseg.training.study.grid import Variation
from skipseg.training.study.records import Point, Run, Start, Study
from skipseg.training.study.starts import Condition

SMOOTHED = 0.1  # of a curve that a loss is averaged over
SMALLEST = 1e-30  # a ratio, so that its logarithm is a number

Twins = tuple[list[Run], list[Run]]


def twins(study: Study, depth: int) -> Twins:
    """Plain and residual runs of a depth, of the seeds that both have."""
    plain, residual = (study.runs_of(Variation(depth=depth, residual=residual)) for residual in (False, True))
    return paired(plain, residual)


def paired(one: Sequence[Run], other: Sequence[Run]) -> Twins:
    """Of the seeds that both have, in their order."""
    both = {run.seed for run in one} & {run.seed for run in other}
    return [run for run in one if run.seed in both], [run for run in other if run.seed in both]


def table(study: Study, runs: Sequence[Run], measure: str) -> Table:
    """One number of every seed and case; a run that diverged has a Dice and a surface Dice of 0, and no distance."""
    nothing = None if measure == "hd95_mm" else 0.0
    rows = []
    for run in runs:
        known = {score.case: getattr(score, measure) for score in run.scores}
        rows.append([nothing if run.diverged else known.get(case) for case in study.setup.kept_out])
    groups = study.setup.groups
    return Table(rows, [groups.get(case, case) for case in study.setup.kept_out] if groups else None)


def dice_difference(study: Study, a: Sequence[Run], b: Sequence[Run]) -> Estimate:
    """B less A, paired by seed and case."""
    return difference(table(study, a, "dice"), table(study, b, "dice")) if a else NOTHING


def fall(study: Study, measure: str, a: Sequence[Run], b: Sequence[Run]) -> tuple[Estimate, Numbers | None]:
    """From A to B as a share of A; of a distance the rise."""
    if not a:
        return NOTHING, None
    return relative_fall(table(study, a, measure), table(study, b, measure), rises=measure == "hd95_mm")


def dice_of_seeds(runs: Sequence[Run]) -> Numbers:
    """Mean over cases of every run; 0 for one that diverged."""
    means_of = [[score.dice for score in run.scores if score.dice is not None] for run in runs]
    return np.array([float(np.mean(one)) if one else 0.0 for one in means_of], dtype=np.float64)


def difference_of_means(a: Numbers, b: Numbers) -> Estimate:
    """A less B, each drawn by itself."""
    if not len(a) or not len(b):
        return NOTHING
    value = float(a.mean() - b.mean())
    drawn = resample(len(a))
    if drawn is None or len(b) < 2:
        return Estimate(value)
    of_b = np.random.default_rng(SEED + 1).multinomial(len(b), np.full(len(b), 1 / len(b)), size=DRAWS)
    return Estimate(value, interval(means(a, drawn) - means(b, of_b.astype(np.float64))))


def smoothed(curve: Sequence[Point]) -> Numbers:
    """The loss of a curve, averaged over the last tenth of it at each of its points."""
    losses = np.array([point.loss for point in curve], dtype=np.float64)
    window = max(round(SMOOTHED * len(losses)), 1)
    summed = np.concatenate([[0.0], np.cumsum(losses)])
    ends = np.arange(1, len(losses) + 1)
    starts = np.maximum(ends - window, 0)
    return np.asarray((summed[ends] - summed[starts]) / (ends - starts))


def steps_to_common_loss(one: Run, other: Run) -> tuple[int, int]:
    """Steps until each comes down to where the worse of both ends; one that diverged counts all it was to make."""
    fine = [run for run in (one, other) if run.curve and not run.diverged]
    if not fine:
        return one.steps, one.steps
    target, most = max(float(smoothed(run.curve)[-1]) for run in fine), max(run.steps for run in fine)

    def steps(run: Run) -> int:
        if run not in fine:
            return most
        return run.curve[int(np.argmax(smoothed(run.curve) <= target))].step

    return steps(one), steps(other)


def ratios(study: Study, condition: Condition, residual: bool, activation: str) -> list[list[float]]:
    """Per depth, shallowest first: the first layer's relative gradient by the last's at each draw, as powers of ten."""
    found = []
    for depth in study.setup.depths:
        starts = sorted(
            (start for start in study.starts if _is(start, condition, residual, activation, depth)),
            key=lambda start: start.draw,
        )
        found.append([log10(max(start.ratio, SMALLEST)) for start in starts])
    return found


def change_with_depth(study: Study, condition: Condition, residual: bool) -> Estimate:
    """Of that ratio with ReLUs, from the shallowest to the deepest network, draw by draw."""
    shallowest, *_, deepest = ratios(study, condition, residual, "relu")
    return of_draws([deep - flat for flat, deep in zip(shallowest, deepest, strict=True)])


def as_powers(found: Estimate) -> Estimate:
    """An estimate of a logarithm (to 2), and what it is the logarithm of."""
    if found.value is None:
        return found
    return Estimate(2**found.value, _powers(found.interval))


def _powers(logs: Interval | None) -> Interval | None:
    return None if logs is None else (2 ** logs[0], 2 ** logs[1])


def _is(start: Start, condition: Condition, residual: bool, activation: str, depth: int) -> bool:
    return start.variation == Variation(
        skip=condition.skip,
        norm=condition.norm,
        depth=depth,
        residual=residual,
        activation=activation,  # type: ignore[arg-type]  # one of the names
    )
