"""The figures of a study's page."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

import numpy as np
from matplotlib.axes import Axes

from skipseg.training.reports.canvas import AMBER, BLUE, INK, RED, draw, png
from skipseg.training.study.estimates import Estimate, Table, difference
from skipseg.training.study.evidence import smoothed, table
from skipseg.training.study.grid import Variation
from skipseg.training.study.panels import PLAIN, RESIDUAL, legend, level
from skipseg.training.study.records import Run, Score, Study

GREEN, PURPLE = "#30a46c", "#8e4ec6"
KINDS = (BLUE, AMBER, GREEN, RED, PURPLE)
MEASURES = (("dice", "Dice"), ("hd95_mm", "HD95, mm"), ("nsd_1mm", "surface Dice at 1 mm"))


def depth_curves_plot(study: Study) -> bytes:
    """Training loss of plain and residual twins, a panel per depth; a thin line a seed, a thick one their mean."""
    depths = study.setup.depths
    figure, panels = draw(2.5 * len(depths), 2.7, len(depths))
    for axes, depth in zip(panels, depths, strict=True):
        for residual, colour in ((False, PLAIN), (True, RESIDUAL)):
            _curves(axes, study.runs_of(Variation(depth=depth, residual=residual)), colour)
        axes.set_title(f"{depth} layers", fontsize=9, color=INK)
        axes.set_xlabel("step")
    level(panels)
    panels[0].set_ylabel("training loss")
    legend(figure, (("plain", PLAIN), ("residual", RESIDUAL)))
    return png(figure)


def kind_curves_plot(study: Study) -> bytes:
    """Training loss and Dice on the way by kind of skip."""
    kinds = _kinds(study)
    figure, (left, right) = draw(8.4, 2.9, 2)
    for kind, colour in zip(kinds, cycle(KINDS), strict=False):
        runs = study.runs_of(Variation(skip=kind))
        _curves(left, runs, colour)
        for run in runs:
            known = [(point.step, point.dice) for point in run.curve if point.dice is not None]
            right.plot([step for step, _ in known], [dice for _, dice in known], "o-", color=colour, ms=3, lw=1)
    left.set(xlabel="step", ylabel="training loss")
    right.set(xlabel="step", ylabel="Dice of a few cases kept out")
    legend(figure, list(zip(kinds, cycle(KINDS), strict=False)))
    return png(figure)


def kinds_plot(study: Study) -> bytes:
    """Dice, HD95 and surface Dice by kind of skip: a dot a case (mean over seeds), the mean with its interval."""
    kinds = _kinds(study)
    figure, panels = draw(9.6, 0.9 + 0.5 * len(kinds), len(MEASURES))
    for axes, (measure, name) in zip(panels, MEASURES, strict=True):
        for row, (kind, colour) in enumerate(zip(kinds, cycle(KINDS), strict=False)):
            runs = study.runs_of(Variation(skip=kind))
            if runs:
                _strip(axes, row, table(study, runs, measure), colour)
        axes.set_yticks(range(len(kinds)), kinds if axes is panels[0] else [""] * len(kinds))
        axes.set_ylim(len(kinds) - 0.4, -0.6)
        axes.set_xlabel(name)
    return png(figure)


def cuts_plot(study: Study) -> bytes:
    """Dice and surface Dice lost when one skip of a trained network carries nothing, or what is another case's."""
    runs = [run for run in study.runs if run.cut]
    rows = list(dict.fromkeys((run.variation.skip, cut.place, cut.change) for run in runs for cut in run.cut))
    figure, panels = draw(9.0, 1.0 + 0.3 * len(rows), 2)
    for axes, (measure, name) in zip(panels, (MEASURES[0], MEASURES[2]), strict=True):
        for number, (kind, place, change) in enumerate(rows):
            lost = _lost(study, [run for run in runs if run.variation.skip == kind], place, change, measure)
            _bar(axes, number, lost.value or 0.0, lost.interval, RED if change == "zeroed" else PURPLE)
        names = [f"{kind}, {place_name(place)}" for kind, place, _ in rows]
        axes.set_yticks(range(len(rows)), names if axes is panels[0] else [""] * len(rows))
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.axvline(0, color=INK, lw=1)
        axes.set_xlabel(f"{name} lost")
    legend(figure, (("skip zeroed", RED), ("skip of another case", PURPLE)))
    return png(figure)


def has_cuts(study: Study) -> bool:
    """Whether any skip was cut."""
    return any(run.cut for run in study.runs)


def _lost(study: Study, runs: Sequence[Run], place: int, change: str, measure: str) -> Estimate:
    cut = [next(cut for cut in run.cut if (cut.place, cut.change) == (place, change)) for run in runs]
    scores, whole = [one.scores for one in cut], [run.whole for run in runs]
    return difference(_table_of(scores, measure), _table_of(whole, measure)).estimate()


def _table_of(scores: Sequence[Sequence[Score]], measure: str) -> Table:
    return Table([[getattr(score, measure) for score in row] for row in scores])


def place_name(place: int) -> str:
    """Of a join, coarsest first; networks of the normal depth have two."""
    return ("coarse skip", "fine skip")[place] if place < 2 else f"skip {place}"


def _curves(axes: Axes, runs: Sequence[Run], colour: str) -> None:
    lines = [(np.array([point.step for point in run.curve]), smoothed(run.curve)) for run in runs if run.curve]
    for steps, losses in lines:
        axes.plot(steps, losses, color=colour, lw=0.7, alpha=0.45)
    if len(lines) > 1 and len({len(steps) for steps, _ in lines}) == 1:
        axes.plot(lines[0][0], np.mean([losses for _, losses in lines], axis=0), color=colour, lw=1.8)


def _strip(axes: Axes, row: int, cases: Table, colour: str) -> None:
    known = cases.values[:, np.isfinite(cases.values).any(axis=0)]
    dots = np.nanmean(known, axis=0) if known.size else np.array([])
    spread = np.random.default_rng(row).uniform(-0.2, 0.2, len(dots))
    axes.plot(dots, row + spread, "o", color=colour, ms=4, alpha=0.45, mew=0)
    found = cases.sampled().estimate()
    if found.interval:
        axes.plot(found.interval, [row, row], color=INK, lw=2)
    if found.value is not None:
        axes.plot([found.value], [row], "D", color=INK, ms=5)


def _bar(axes: Axes, row: int, value: float, off: tuple[float, float] | None, colour: str) -> None:
    axes.barh(row, value, color=colour, alpha=0.7, height=0.65)
    if off:
        axes.plot(off, [row, row], color=INK, lw=1.4)


def _kinds(study: Study) -> list[str]:
    return list(dict.fromkeys(one.skip for one in study.setup.extent.variations))
