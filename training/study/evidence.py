"""What claims ask of a study's runs: twins, tables, ratios, falls."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10

import numpy as np

from skipseg.models.networks.kit import Activation
from skipseg.training.judging.intervals import Numbers
from skipseg.training.study.estimates import Estimate, Sampled, Table, difference, of_draws, relative_fall
from skipseg.training.study.grid import Variation
from skipseg.training.study.records import Point, Run, Study
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
    cases, groups = study.setup.kept_out, study.setup.groups
    rows = []
    for run in runs:
        known = {score.case: getattr(score, measure) for score in run.scores}
        rows.append([nothing if run.diverged else known.get(case) for case in cases])
    return Table(rows or [[None] * len(cases)], [groups.get(case, case) for case in cases] if groups else None)


def dice_difference(study: Study, a: Sequence[Run], b: Sequence[Run]) -> Estimate:
    """B less A, paired by seed and case."""
    return difference(table(study, a, "dice"), table(study, b, "dice")).estimate()


def fall(study: Study, measure: str, a: Sequence[Run], b: Sequence[Run]) -> Sampled:
    """From A to B as a share of A; of a distance the rise."""
    return relative_fall(table(study, a, measure), table(study, b, measure), rises=measure == "hd95_mm")


def dice_of_seeds(runs: Sequence[Run]) -> Numbers:
    """Mean over cases of every run; 0 for one that diverged."""
    means_of = [[score.dice for score in run.scores if score.dice is not None] for run in runs]
    return np.array([float(np.mean(one)) if one else 0.0 for one in means_of], dtype=np.float64)


def smoothed(curve: Sequence[Point]) -> Numbers:
    """The loss of a curve, averaged over the last tenth of it at each of its points."""
    losses = np.array([point.loss for point in curve], dtype=np.float64)
    window = max(round(SMOOTHED * len(losses)), 1)
    summed = np.concatenate([[0.0], np.cumsum(losses)])
    ends = np.arange(1, len(losses) + 1)
    starts = np.maximum(ends - window, 0)
    return np.asarray((summed[ends] - summed[starts]) / (ends - starts))


def steps_to_common_loss(one: Run, other: Run) -> tuple[int, int]:
    """Steps until each comes down to where the worse of both ends; one that diverged counts twice all it was to
    make, since it never would."""
    fine = [run for run in (one, other) if run.curve and not run.diverged]
    if not fine:
        return one.steps, one.steps
    target, most = max(float(smoothed(run.curve)[-1]) for run in fine), max(run.steps for run in fine)

    def steps(run: Run) -> int:
        if run not in fine:
            return 2 * most
        return run.curve[int(np.argmax(smoothed(run.curve) <= target))].step

    return steps(one), steps(other)


def ratios(study: Study, condition: Condition, residual: bool, activation: Activation) -> list[list[float]]:
    """Per depth, shallowest first: the first layer's relative gradient by the last's at each draw, as powers of ten."""
    found = []
    for depth in study.setup.depths:
        wanted = condition.variation(depth, residual, activation)
        starts = sorted((one for one in study.starts if one.variation == wanted), key=lambda one: one.draw)
        found.append([log10(max(start.ratio, SMALLEST)) for start in starts])
    return found


def change_with_depth(study: Study, condition: Condition, residual: bool) -> Estimate:
    """Of that ratio with ReLUs, from the shallowest to the deepest network, draw by draw."""
    shallowest, *_, deepest = ratios(study, condition, residual, "relu")
    return of_draws([deep - flat for flat, deep in zip(shallowest, deepest, strict=True)])


def as_powers(found: Estimate) -> Estimate:
    """From an estimate of a logarithm (to 2) to one of what it is the logarithm of."""
    if found.value is None:
        return found
    return Estimate(2**found.value, found.interval and (2 ** found.interval[0], 2 ** found.interval[1]))
