"""``report.html``: one page that needs nothing beside it."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

from skipseg.models.errors import SkipsegError
from skipseg.models.labels import Labels
from skipseg.models.scans.reader import read_scan
from skipseg.training.dataset import Dataset, named_cases, read_case
from skipseg.training.figures import curves_plot, dice_plot, overlay_plot, read_history
from skipseg.training.metrics import Agreement, CaseScore
from skipseg.training.page import PAGE
from skipseg.training.slices import pictures
from skipseg.training.summary import Metrics
from skipseg.training.truth import whole_values

_COLUMNS = 8  # more labels than this get no column of their own in the table of cases

_NOTES = """<p class="soft">Dice and surface Dice: 1 is perfect, 0 is none. HD95: 95 % of both surfaces are nearer to
the other than this. Distances use each scan's own voxel spacing; a picture that carries none counts as 1 mm per pixel.
A label absent from both truth and mask has no numbers (–) and is left out of means; absent from one alone it has Dice
0 and no HD95.</p>"""


def write_report(
    metrics: Metrics, dataset: Dataset, masks: Mapping[str, Path], path: Path, history: Path | None = None
) -> None:
    """Write the page; ``masks`` maps a case's name to its mask's file, from which the overlays are drawn."""
    sections = [
        _headline(metrics, dataset.labels),
        *_failures(metrics),
        *_spread(metrics, dataset.labels),
        *_curves(history),
        *_overlays(metrics, dataset, masks),
        _table(metrics),
        _NOTES,
    ]
    title = escape(f"{metrics.bundle} on {metrics.dataset}")
    path.write_text(PAGE.substitute(title=title, body="\n".join(sections)), encoding="utf-8")


def worst_first(cases: Sequence[CaseScore]) -> list[CaseScore]:
    """Cases by mean Dice; those without one at the end."""
    return sorted(cases, key=lambda case: 2.0 if case.mean.dice is None else case.mean.dice)


def _headline(metrics: Metrics, labels: Labels) -> str:
    count = len(metrics.cases)
    numbers = "".join(
        f'<div><b>{_number(value, digits)}</b><span class="soft">{name}</span></div>'
        for name, value, digits in (
            ("mean Dice", metrics.mean.dice, 3),
            ("HD95, mm", metrics.mean.hd95_mm, 2),
            ("surface Dice at 1 mm", metrics.mean.nsd_1mm, 3),
        )
    )
    rows = "".join(
        f"<tr><td>{_swatch(label.colour)}{escape(label.name)}</td>{_cells(metrics.labels[label.name])}</tr>"
        for label in labels.foreground
    )
    return (
        f"<h1>{escape(metrics.bundle)}</h1>"
        f'<p class="soft">on {escape(metrics.dataset)}, {count} case{"" if count == 1 else "s"}</p>'
        f'<section><div class="headline">{numbers}</div><div class="wide"><table>'
        f"<tr><th>label</th><th>Dice</th><th>HD95, mm</th><th>surface Dice</th></tr>{rows}</table></div></section>"
    )


def _failures(metrics: Metrics) -> Iterator[str]:
    if metrics.failed:
        rows = "".join(f"<p><b>{escape(one.case)}</b>: {escape(one.error)}</p>" for one in metrics.failed)
        total = len(metrics.failed) + len(metrics.cases)
        yield f'<section><h2 class="bad">{len(metrics.failed)} of {total} cases have no score</h2>{rows}</section>'


def _spread(metrics: Metrics, labels: Labels) -> Iterator[str]:
    if any(case.mean.dice is not None for case in metrics.cases):
        yield _section("Dice of every case", _image(dice_plot(metrics, labels), "Dice per label and case"))


def _curves(history: Path | None) -> Iterator[str]:
    if history and history.is_file() and (curves := read_history(history)).step:
        yield _section("Training", _image(curves_plot(curves), "loss and validation Dice over steps"))


def _overlays(metrics: Metrics, dataset: Dataset, masks: Mapping[str, Path]) -> Iterator[str]:
    for kind, case in _telling(metrics.cases):
        title = f"{kind} case: {escape(case.case)}, mean Dice {_number(case.mean.dice, 3)}"
        try:
            yield _section(title, _overlay(dataset, case.case, masks[case.case]))
        except SkipsegError as error:
            yield _section(title, f'<p class="bad">cannot be drawn: {escape(str(error))}</p>')


def _telling(cases: Sequence[CaseScore]) -> list[tuple[str, CaseScore]]:
    ranked = [case for case in worst_first(cases) if case.mean.dice is not None]
    if len(ranked) < 2:
        return [("Only", case) for case in ranked]
    return [("Worst", ranked[0]), ("Median", ranked[len(ranked) // 2])]


def _overlay(dataset: Dataset, name: str, mask: Path) -> str:
    (case,) = named_cases(dataset, [name])
    volume, truth = read_case(dataset, case)
    planes = pictures(volume, truth, whole_values(read_scan(mask)))
    return _image(overlay_plot(planes, dataset.labels), f"truth and mask of {name}")


def _table(metrics: Metrics) -> str:
    names = list(metrics.labels) if 1 < len(metrics.labels) <= _COLUMNS else []
    columns = ["case", "mean Dice", "HD95, mm", "surface Dice", *names, "seconds"]
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    rows = "".join(_row(case, names) for case in worst_first(metrics.cases))
    return _section(
        "Cases, worst first" + (" (Dice per label)" if names else ""),
        f'<div class="wide"><table><tr>{head}</tr>{rows}</table></div>',
    )


def _row(case: CaseScore, names: Sequence[str]) -> str:
    dices = "".join(f"<td>{_number(case.labels[name].dice, 3)}</td>" for name in names)
    return f"<tr><td>{escape(case.case)}</td>{_cells(case.mean)}{dices}<td>{_number(case.seconds, 2)}</td></tr>"


def _cells(one: Agreement) -> str:
    share = f"{100 * (one.dice or 0):.1f}%"
    return (
        f'<td class="bar" style="--share: {share}">{_number(one.dice, 3)}</td>'
        f"<td>{_number(one.hd95_mm, 2)}</td><td>{_number(one.nsd_1mm, 3)}</td>"
    )


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>{content}</section>"


def _image(png: bytes, text: str) -> str:
    return f'<img alt="{escape(text)}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'


def _swatch(colour: tuple[int, int, int]) -> str:
    return f'<span class="swatch" style="background: rgb{colour}"></span>'


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
