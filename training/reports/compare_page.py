"""The page of a comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from skipseg.models.labels import Label, Labels
from skipseg.training.datasets.dataset import Dataset
from skipseg.training.judging.paired import Change, Comparison, Difference, Pair
from skipseg.training.reports.canvas import INK, draw, png, rgb
from skipseg.training.reports.markup import between, cell, figure, image, number, section, signed, swatch, table
from skipseg.training.reports.page import PAGE
from skipseg.training.reports.report import overlay

_LABELS = 20  # drawn, those whose Dice changed most
_CASES = 30  # listed, those that changed most

_NOTES = """<p class="soft">Differences are B less A, case by case. Ranges are 95 % intervals of the mean difference:
the cases drawn again and again, with replacement. p: Wilcoxon's signed-rank test, two-sided and not corrected for the
number of labels and measures looked at. Better and worse count cases, from B's side.</p>"""

Masks = Mapping[str, Path]  # by case


def write_comparison_page(
    comparison: Comparison, pairs: Sequence[Pair], dataset: Dataset, masks: tuple[Masks, Masks], path: Path
) -> None:
    """Write the page; ``masks`` are those of A and of B, from which the overlays are drawn."""
    names = f"A: {escape(comparison.a)}, B: {escape(comparison.b)}"
    sections = [
        f"<h1>{escape(comparison.a)} and {escape(comparison.b)}</h1>",
        f'<p class="soft">{names}; on {escape(comparison.dataset)}, {len(pairs)} cases</p>',
        *_warnings(comparison),
        _headline(comparison),
        *_spread(pairs, dataset.labels),
        _labels(comparison, dataset.labels),
        *_overlays(comparison.cases, dataset, masks),
        _cases(comparison.cases),
        _NOTES,
    ]
    title = f"{escape(comparison.a)} and {escape(comparison.b)} on {escape(comparison.dataset)}"
    path.write_text(PAGE.substitute(title=title, body="\n".join(sections)), encoding="utf-8")


def _warnings(comparison: Comparison) -> Iterator[str]:
    for side, name in (("a", comparison.a), ("b", comparison.b)):
        if cases := comparison.learned.get(side):
            said = f"{side.upper()} ({escape(name)}) was trained on {len(cases)} of these cases: they flatter it."
            yield f'<p class="bad">{said}</p>'
    for failure in comparison.failed:
        yield f'<p class="bad">{escape(failure.case)} has no score: {escape(failure.error)}</p>'


def _headline(comparison: Comparison) -> str:
    dice = comparison.mean.dice
    numbers = (
        figure(number(dice.a, 3), "mean Dice of A")
        + figure(number(dice.b, 3), "mean Dice of B")
        + figure(signed(dice.difference, 3), "difference", between(dice.interval, 3, signed))
        + figure(f"{dice.wins} : {dice.losses}", "better : worse", f"{dice.ties} the same")
        + figure(_chance(dice.p), "p")
    )
    rows = (_row(name, getattr(comparison.mean, field), digits) for field, name, digits in _MEASURES)
    return f'<section><div class="headline">{numbers}</div>{table(_HEAD, rows)}</section>'


def _labels(comparison: Comparison, labels: Labels) -> str:
    rows = [
        _row(name, getattr(comparison.labels[label.name], field), digits, label)
        for label in labels.foreground
        for field, name, digits in _MEASURES
    ]
    return section("Labels", table(_HEAD, rows))


_MEASURES = (("dice", "Dice", 3), ("iou", "IoU", 3), ("hd95_mm", "HD95, mm", 2), ("nsd_1mm", "surface Dice", 3))
_HEAD = ("", "cases", "A", "B", "difference", "p", "better", "worse", "the same")


def _row(name: str, one: Difference, digits: int, label: Label | None = None) -> str:
    first = escape(name) if label is None else f"{swatch(label.colour)}{escape(label.name)}, {escape(name)}"
    below = f'<span class="range">{between(one.interval, digits, signed)}</span>' if one.interval else ""
    return (
        f"<tr><td>{first}</td><td>{one.cases}</td>{cell(one.a, digits)}{cell(one.b, digits)}"
        f"<td>{signed(one.difference, digits)}{below}</td><td>{_chance(one.p)}</td>"
        f"<td>{one.wins}</td><td>{one.losses}</td><td>{one.ties}</td></tr>"
    )


def _spread(pairs: Sequence[Pair], labels: Labels) -> Iterator[str]:
    changes = {label: _changes(pairs, label) for label in labels.foreground}
    shown = sorted((label for label in changes if changes[label]), key=lambda label: abs(np.mean(changes[label])))
    if shown:
        plot = _changes_plot({label: changes[label] for label in shown[-_LABELS:]})
        yield section("Change of Dice in every case", image(plot, "change of Dice per label and case"))


def _changes(pairs: Sequence[Pair], label: Label) -> list[float]:
    both = [(a.labels[label.name].dice, b.labels[label.name].dice) for a, b in pairs]
    return [b - a for a, b in both if a is not None and b is not None]


def _changes_plot(changes: Mapping[Label, Sequence[float]]) -> bytes:
    """A row per label, a dot per case, the mean as a bar; B is better to the right."""
    drawing, (axes,) = draw(7.2, 0.9 + 0.55 * len(changes))
    jitter = np.random.default_rng(0)
    axes.axvline(0, color=INK, lw=1)
    for row, (label, values) in enumerate(changes.items()):
        places = row + jitter.uniform(-0.16, 0.16, len(values))
        axes.plot(values, places, "o", color=rgb(label), ms=4, alpha=0.6, mew=0)
        axes.plot([np.mean(values)] * 2, [row - 0.3, row + 0.3], color=INK, lw=2.2)
    axes.set_yticks(range(len(changes)), [label.name for label in changes])
    axes.set_ylim(-0.6, len(changes) - 0.4)
    _symmetric(axes, max(0.01, *(abs(value) for values in changes.values() for value in values)))
    axes.set_xlabel("A better            change of Dice            B better")
    return png(drawing)


def _symmetric(axes: Axes, most: float) -> None:
    axes.set_xlim(-1.08 * most, 1.08 * most)


def _overlays(cases: Sequence[Change], dataset: Dataset, masks: tuple[Masks, Masks]) -> Iterator[str]:
    """The case that lost most and the one that gained most, each under both models."""
    known = sorted((case for case in cases if case.difference), key=lambda case: case.difference or 0.0)
    telling = [("Lost most", case) for case in known[:1] if (case.difference or 0) < 0]
    telling += [("Gained most", case) for case in known[-1:] if (case.difference or 0) > 0]
    for kind, case in telling:
        title = f"{kind}: {escape(case.case)}, mean Dice {number(case.a, 3)} to {number(case.b, 3)}"
        parts = [
            f"<p class='soft'>{side}</p>{overlay(dataset, case.case, shown[case.case], other[case.case])}"
            for side, shown, other in (("A", *masks), ("B", *masks[::-1]))
        ]
        yield section(title, "".join(parts))


def _cases(cases: Sequence[Change]) -> str:
    rows = [
        f"<tr><td>{escape(case.case)}</td>{cell(case.a, 3)}{cell(case.b, 3)}<td>{signed(case.difference, 3)}</td></tr>"
        for case in cases[:_CASES]
    ]
    title = "Cases" if len(cases) <= _CASES else f"The {_CASES} cases of {len(cases)}"
    return section(f"{title} that changed most", table(("case", "mean Dice of A", "of B", "difference"), rows))


def _chance(p: float | None) -> str:
    if p is None:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
