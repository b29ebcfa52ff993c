"""``report.html``: one page that needs nothing beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

from skipseg.models.errors import SkipsegError
from skipseg.models.labels import Label, Labels
from skipseg.models.scans.reader import read_scan
from skipseg.training.datasets.dataset import Dataset, named_cases, read_case
from skipseg.training.datasets.truth import whole_values
from skipseg.training.judging.metrics import Agreement, CaseScore
from skipseg.training.judging.summary import AgreementInterval, Metrics, VolumeAgreement
from skipseg.training.reports.charts import confusion_plot, reliability_plot, trust_plot, volumes_plot
from skipseg.training.reports.figures import curves_plot, dice_plot, overlay_plot, read_history
from skipseg.training.reports.markup import between, cell, figure, image, number, section, share_cell, swatch, table
from skipseg.training.reports.page import PAGE
from skipseg.training.reports.slices import pictures

_COLUMNS = 8  # more labels than this get no column of their own in the table of cases
_FLAGGED = 20  # cases whose flags are listed
_FEW = 2  # cases or fewer say nothing of how volumes spread

_NOTES = """<p class="soft">Dice, IoU and surface Dice: 1 is perfect, 0 is none. HD95: 95 % of both surfaces are nearer
to the other than this. Distances use each scan's own voxel spacing; a picture that carries none counts as 1 mm per
pixel. A label absent from both truth and mask has no numbers (–) and is left out of means; absent from one alone it has
Dice 0 and no HD95. Volume bias: the mean of mask less truth; error: the mean of its size in percent of the truth;
correlation: Pearson's. Ranges are 95 % intervals of the means: the cases drawn again and again, with
replacement.</p>"""


def write_report(
    metrics: Metrics, dataset: Dataset, masks: Mapping[str, Path], path: Path, history: Path | None = None
) -> None:
    """Write the page; ``masks`` maps a case's name to its mask's file, from which the overlays are drawn."""
    sections = [
        _headline(metrics, dataset),
        *_failures(metrics),
        *_spread(metrics, dataset.labels),
        *_overlays(metrics, dataset, masks),
        *_cells(metrics),
        *_volumes(metrics, dataset),
        *_confusion(metrics),
        *_trust(metrics),
        *_curves(history),
        _table(metrics),
        _NOTES,
    ]
    title = escape(f"{metrics.bundle} on {metrics.dataset}")
    path.write_text(PAGE.substitute(title=title, body="\n".join(sections)), encoding="utf-8")


def worst_first(cases: Sequence[CaseScore]) -> list[CaseScore]:
    """Cases by mean Dice; those without one at the end."""
    return sorted(cases, key=lambda case: 2.0 if case.mean.dice is None else case.mean.dice)


def overlay(dataset: Dataset, name: str, mask: Path, other: Path | None = None) -> str:
    """The telling planes of a case with truth and mask, or why they cannot be drawn.

    With an ``other`` mask they are those where both differ, so that two overlays show the same.
    """
    try:
        (case,) = named_cases(dataset, [name])
        volume, truth = read_case(dataset, case)
        beside = None if other is None else whole_values(read_scan(other))
        planes = pictures(volume, truth, whole_values(read_scan(mask)), beside)
        return image(overlay_plot(planes, dataset.labels), f"truth and mask of {name}")
    except SkipsegError as error:
        return f'<p class="bad">cannot be drawn: {escape(str(error))}</p>'


def _headline(metrics: Metrics, dataset: Dataset) -> str:
    count, mean = len(metrics.cases), metrics.mean
    off = metrics.intervals.mean if metrics.intervals else AgreementInterval()
    numbers = (
        figure(number(mean.dice, 3), "mean Dice", between(off.dice, 3))
        + figure(number(mean.hd95_mm, 2), "HD95, mm", between(off.hd95_mm, 2))
        + figure(number(mean.nsd_1mm, 3), "surface Dice at 1 mm", between(off.nsd_1mm, 3))
    )
    bias = f"volume bias, {_unit(dataset)}"
    head = ("label", "Dice", "IoU", "HD95, mm", "surface Dice", bias, "error, %", "correlation")
    return (
        f"<h1>{escape(metrics.bundle)}</h1>"
        f'<p class="soft">on {escape(metrics.dataset)}, {count} case{"" if count == 1 else "s"}</p>'
        f'<section><div class="headline">{numbers}</div>'
        f"{table(head, (_label_row(label, metrics) for label in dataset.labels.foreground))}</section>"
    )


def _unit(dataset: Dataset) -> str:
    """Of a volume: pictures carry no millimetres."""
    pictures = all(path.suffix.lower() in (".png", ".tif", ".tiff") for case in dataset.cases for path in case.images)
    return "pixels" if pictures else "mm³"


def _label_row(label: Label, metrics: Metrics) -> str:
    off = metrics.intervals.labels.get(label.name) if metrics.intervals else None
    agreement, volume = metrics.labels[label.name], metrics.volumes.get(label.name)
    return (
        f"<tr><td>{swatch(label.colour)}{escape(label.name)}</td>"
        f"{_agreement_cells(agreement, off or AgreementInterval())}{_volume_cells(volume)}</tr>"
    )


def _agreement_cells(one: Agreement, off: AgreementInterval) -> str:
    return (
        share_cell(one.dice, off.dice)
        + cell(one.iou, 3, off.iou)
        + cell(one.hd95_mm, 2, off.hd95_mm)
        + cell(one.nsd_1mm, 3, off.nsd_1mm)
    )


def _volume_cells(one: VolumeAgreement | None) -> str:
    if one is None:
        return "<td>–</td>" * 3
    return cell(one.bias_mm3, 0, one.bias_interval_mm3) + cell(one.error_percent, 1) + cell(one.correlation, 2)


def _failures(metrics: Metrics) -> Iterator[str]:
    if metrics.failed:
        rows = "".join(f"<p><b>{escape(one.case)}</b>: {escape(one.error)}</p>" for one in metrics.failed)
        total = len(metrics.failed) + len(metrics.cases)
        yield f'<section><h2 class="bad">{len(metrics.failed)} of {total} cases have no score</h2>{rows}</section>'


def _spread(metrics: Metrics, labels: Labels) -> Iterator[str]:
    if any(case.mean.dice is not None for case in metrics.cases):
        yield section("Dice of every case", image(dice_plot(metrics, labels), "Dice per label and case"))


def _curves(history: Path | None) -> Iterator[str]:
    if history and history.is_file() and (curves := read_history(history)).step:
        yield section("Training", image(curves_plot(curves), "loss and validation Dice over steps"))


def _overlays(metrics: Metrics, dataset: Dataset, masks: Mapping[str, Path]) -> Iterator[str]:
    for kind, case in _telling(metrics.cases):
        title = f"{kind} case: {escape(case.case)}, mean Dice {number(case.mean.dice, 3)}"
        yield section(title, overlay(dataset, case.case, masks[case.case]))


def _telling(cases: Sequence[CaseScore]) -> list[tuple[str, CaseScore]]:
    ranked = [case for case in worst_first(cases) if case.mean.dice is not None]
    if len(ranked) < 2:
        return [("Only", case) for case in ranked]
    found = [("Worst", ranked[0]), ("Median", ranked[len(ranked) // 2]), ("Best", ranked[-1])]
    return found if len(ranked) > 2 else [found[0], found[2]]


def _cells(metrics: Metrics) -> Iterator[str]:
    if (cells := metrics.cells) is not None:
        numbers = (
            figure(number(cells.mean.v_rand_thinned, 4), "V_rand, thinned", between(cells.v_rand_thinned_interval, 4))
            + figure(number(cells.mean.v_rand, 4), "V_rand", between(cells.v_rand_interval, 4))
            + figure(number(cells.mean.pixel_error, 4), "pixel error")
        )
        yield section(
            "Cells kept apart",
            f'<div class="headline">{numbers}</div><p class="soft">Foreground-restricted Rand score (Arganda-Carreras '
            "2015) of the masks as they are; the ISBI 2012 challenge ranks by the best over thresholds of the "
            "probability, thinned. 1 is perfect.</p>",
        )


def _volumes(metrics: Metrics, dataset: Dataset) -> Iterator[str]:
    if metrics.volumes and len(metrics.cases) > _FEW:
        yield section(
            "Volumes",
            image(volumes_plot(metrics, dataset.labels, _unit(dataset)), "error of volume against volume")
            + '<p class="soft">The thick line is the bias; 19 of 20 errors lie between the dashed ones, if errors are '
            "spread as is usual (Bland and Altman 1986).</p>",
        )


def _confusion(metrics: Metrics) -> Iterator[str]:
    if metrics.confusion is not None and metrics.cases:
        yield section(
            "Where each label's voxels went", image(confusion_plot(metrics.confusion), "confusion between labels")
        )


def _trust(metrics: Metrics) -> Iterator[str]:
    """What the model says of itself: calibration and trust, side by side."""
    parts = []
    if metrics.calibration is not None:
        plot = image(reliability_plot(metrics.calibration), "accuracy against confidence")
        said = f"Expected calibration error {metrics.calibration.ece:.3f}, near the labels. Below the diagonal the "
        parts.append(f"<div>{plot}<p class='soft'>{said}network is surer than it should be.</p></div>")
    if (trust := metrics.trust) is not None:
        plot = image(trust_plot(metrics.cases), "mean Dice against trust")
        parts.append(f"<div>{plot}<p class='soft'>{_told_apart(trust.auroc, trust.poor, trust.cases)}</p></div>")
    if parts:
        yield section("How far to trust it", f'<div class="pair">{"".join(parts)}</div>{_flags(metrics.cases)}')


def _told_apart(auroc: float | None, poor: int, cases: int) -> str:
    said = f"{poor} of {cases} cases have a mean Dice below 0.8. "
    if auroc is None:
        return said + "Whether the score tells such from others cannot be said here."
    return said + f"The score tells them from the others with an AUROC of {auroc:.2f} (0.5 is chance)."


def _flags(cases: Sequence[CaseScore]) -> str:
    flagged = [case for case in worst_first(cases) if case.trust and case.trust.flags]
    rows = [
        f"<tr><td>{escape(case.case)}</td>{cell(case.trust.score, 3)}{cell(case.mean.dice, 3)}"
        f'<td class="text">{escape("; ".join(case.trust.flags))}</td></tr>'
        for case in flagged[:_FLAGGED]
        if case.trust
    ]
    more = f'<p class="soft">and {len(flagged) - _FLAGGED} more</p>' if len(flagged) > _FLAGGED else ""
    head = ("unusual case", "trust", "mean Dice", "why")
    return f'<div class="flags">{table(head, rows)}</div>{more}' if rows else ""


def _table(metrics: Metrics) -> str:
    names = list(metrics.labels) if 1 < len(metrics.labels) <= _COLUMNS else []
    trusted = any(case.trust for case in metrics.cases)
    head = ["case", "mean Dice", "HD95, mm", "surface Dice", *names, *["trust"] * trusted, "seconds"]
    rows = (_row(case, names, trusted) for case in worst_first(metrics.cases))
    return section("Cases, worst first" + (" (Dice per label)" if names else ""), table(head, rows))


def _row(case: CaseScore, names: Sequence[str], trusted: bool) -> str:
    mean = case.mean
    dices = "".join(cell(case.labels[name].dice, 3) for name in names)
    trust = cell(case.trust.score if case.trust else None, 3) if trusted else ""
    numbers = share_cell(mean.dice) + cell(mean.hd95_mm, 2) + cell(mean.nsd_1mm, 3)
    return f"<tr><td>{escape(case.case)}</td>{numbers}{dices}{trust}{cell(case.seconds, 2)}</tr>"
