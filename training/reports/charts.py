"""The figures of all cases together: calibration, trust, volumes, confusion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from skipseg.models.labels import Label, Labels
from skipseg.training.judging.calibration import Calibration
from skipseg.training.judging.metrics import CaseScore, LabelScore
from skipseg.training.judging.summary import POOR, Confusion, Metrics, VolumeAgreement
from skipseg.training.reports.canvas import BLUE, INK, RED, draw, png, rgb

_PANELS = 6  # labels whose volumes are drawn, those with the largest errors
_ACROSS = 3
_ROWS = 20  # labels in a confusion, those that are found least


def reliability_plot(calibration: Calibration) -> bytes:
    """Accuracy against confidence; a dot's area grows with its share of voxels. On the diagonal, both are equal."""
    figure, (axes,) = draw(4.4, 3.6)
    bins = calibration.bins
    confidence, accuracy = [one.confidence for one in bins], [one.accuracy for one in bins]
    axes.plot([0, 1], [0, 1], color=INK, lw=1, ls="--")
    axes.plot(confidence, accuracy, color=BLUE, lw=1.2, alpha=0.6)
    axes.scatter(confidence, accuracy, s=[18 + 200 * one.share for one in bins], color=BLUE, alpha=0.8, lw=0)
    low = min([0.5, *confidence, *accuracy])
    axes.set(
        xlabel="confidence", ylabel="share of voxels that are right", xlim=(low - 0.03, 1.04), ylim=(low - 0.03, 1.04)
    )
    return png(figure)


def trust_plot(cases: Sequence[CaseScore]) -> bytes:
    """Mean Dice against the trust score, a dot per case."""
    known = [(case.trust.score, case.mean.dice) for case in cases if case.trust and case.mean.dice is not None]
    figure, (axes,) = draw(4.4, 3.6)
    axes.axhline(POOR, color=INK, lw=1, ls="--")
    colours = [BLUE if dice >= POOR else RED for _, dice in known]
    axes.scatter([score for score, _ in known], [dice for _, dice in known], c=colours, s=22, alpha=0.75, lw=0)
    axes.set(xlabel="trust score, told without the truth", ylabel="mean Dice")
    axes.set_xlim(_span([score for score, _ in known], 0.05))
    axes.set_ylim(_span([POOR, *(dice for _, dice in known)], 0.1))
    return png(figure)


def _span(values: Sequence[float], least: float) -> tuple[float, float]:
    """Limits of an axis around values in 0 .. 1, so that tiny differences do not look large."""
    low, high = min(values), max(values)
    room = max((least - (high - low)) / 2, 0.0) + 0.08 * (high - low)
    return max(low - room, -0.02), min(high + room, 1.02)


def volumes_plot(metrics: Metrics, labels: Labels, unit: str) -> bytes:
    """Error against size of every case's volume, a panel per label, with bias and limits (Bland and Altman 1986)."""
    drawn = sorted(
        (label for label in labels.foreground if label.name in metrics.volumes),
        key=lambda label: metrics.volumes[label.name].error_percent or 0,
    )[-_PANELS:][::-1]
    columns = min(len(drawn), _ACROSS)
    rows = -(-len(drawn) // _ACROSS)
    figure, panels = draw(max(3.2 * columns, 4.4), 2.7 * rows, columns, rows=rows)
    for axes in panels[len(drawn) :]:
        axes.set_axis_off()
    for axes, label in zip(panels, drawn, strict=False):
        scores = [case.labels[label.name] for case in metrics.cases if case.labels[label.name].dice is not None]
        _bland_altman(axes, label, scores, metrics.volumes[label.name])
        axes.set_xlabel(f"mean of mask and truth, {unit}", fontsize=8)
        axes.set_ylabel(f"mask less truth, {unit}", fontsize=8)
    return png(figure)


def _bland_altman(axes: Axes, label: Label, scores: Sequence[LabelScore], found: VolumeAgreement) -> None:
    sizes = [(one.mask_mm3 + one.truth_mm3) / 2 for one in scores]
    axes.scatter(sizes, [one.mask_mm3 - one.truth_mm3 for one in scores], color=rgb(label), s=16, alpha=0.7, lw=0)
    axes.axhline(0, color=INK, lw=0.8, alpha=0.5)
    axes.axhline(found.bias_mm3, color=INK, lw=1.8)
    for limit in found.limits_mm3 or ():
        axes.axhline(limit, color=INK, lw=1, ls="--")
    axes.set_title(label.name, fontsize=9, color=INK)
    axes.margins(0.08)


def confusion_plot(confusion: Confusion) -> bytes:
    """Shares of each true label's voxels under each label of the mask."""
    rows, columns, shares = _least_found(confusion)
    side = 0.42 if len(rows) > 8 else 0.6
    longest = max(len(name) for name in (*rows, *columns))
    figure, (axes,) = draw(side * len(columns) + 0.07 * longest + 1.0, side * len(rows) + 0.07 * longest + 0.7)
    axes.imshow(_shades(shares), aspect="auto")
    axes.set_xticks(range(len(columns)), columns, rotation=35, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(rows)), rows)
    axes.set(xlabel="in the mask", ylabel="in the truth")
    axes.grid(False)
    for (row, column), share in np.ndenumerate(shares):
        if share >= 0.0005:
            colour = "white" if share > 0.55 else INK
            axes.text(column, row, _percent(share), ha="center", va="center", fontsize=7.5, color=colour)
    return png(figure)


def _shades(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Colours (rows, columns, 4), as opaque as the share is large: the page shows through, light or dark."""
    return np.dstack([np.broadcast_to(to_rgb(BLUE), (*shares.shape, 3)), shares])


def _least_found(confusion: Confusion) -> tuple[list[str], list[str], NDArray[np.float64]]:
    """The background and the labels found least, the rest of the columns in one."""
    shares = np.array(confusion.shares)
    present = [i for i in range(1, len(shares)) if shares[i].any()]
    least = sorted(sorted(present, key=lambda i: shares[i, i])[:_ROWS])
    kept = [0, *least]
    rest = np.delete(shares, kept, axis=1).sum(axis=1)
    names = [confusion.rows[i] for i in kept]
    table = np.column_stack([shares[np.ix_(kept, kept)], rest[kept]])
    if not table[:, -1].any():
        return names, names, table[:, :-1]
    return names, [*names, "others"], table


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.0995 else f"{100 * share:.1f} %"
