"""The figures of single cases and of training: Dice, learning curves, overlays."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from skipseg.models.errors import DatasetError
from skipseg.models.labels import Label, Labels
from skipseg.training.judging.summary import Metrics
from skipseg.training.reports.canvas import AMBER, BLUE, INK, RED, draw, few_colours, png, rgb
from skipseg.training.reports.slices import Picture

_CROWDED = 0.08  # a share of a plane under outlines
_OUTLINE = 1.2 / 72  # inches
_ROWS = 40  # labels drawn in one plot, those with the lowest Dice


@dataclass(frozen=True)
class Curves:
    """``history.csv`` of a training: a row per report, Dice only where a validation was made."""

    step: list[float]
    loss: list[float]
    dice_step: list[float]
    dice: list[float]


def read_history(path: Path) -> Curves:
    """Read columns step, loss and dice. Raises ``DatasetError`` when they are not there or no numbers."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        measured = [row for row in rows if row["dice"]]
        return Curves(
            [float(row["step"]) for row in rows],
            [float(row["loss"]) for row in rows],
            [float(row["step"]) for row in measured],
            [float(row["dice"]) for row in measured],
        )
    except (KeyError, ValueError, TypeError) as error:
        raise DatasetError(f"{path.name} needs the columns step, loss and dice with numbers: {error}") from error


def dice_plot(metrics: Metrics, labels: Labels) -> bytes:
    """Every case's Dice as a dot, a row per label, with median and quartiles."""
    rows = [
        (label, [d for case in metrics.cases if (d := case.labels[label.name].dice) is not None])
        for label in labels.foreground
    ]
    drawn = sorted((row for row in rows if row[1]), key=lambda row: float(np.mean(row[1])))[:_ROWS][::-1]
    figure, (axes,) = draw(7.2, 0.7 + (0.55 if len(drawn) <= 12 else 0.3) * max(len(drawn), 1))
    jitter = np.random.default_rng(0)
    for row, (label, dices) in enumerate(drawn):
        _box(axes, dices, row)
        axes.plot(dices, row + jitter.uniform(-0.16, 0.16, len(dices)), "o", color=rgb(label), ms=4, alpha=0.6, mew=0)
    axes.set_yticks(range(len(drawn)), [label.name for label, _ in drawn])
    axes.set_xlim(min(0.5, *(min(dices) for _, dices in drawn)) - 0.02 if drawn else 0, 1.01)
    axes.set_xlabel("Dice")
    return png(figure)


def _box(axes: Axes, dices: Sequence[float], row: int) -> None:
    line, median = {"color": INK, "linewidth": 1.0}, {"color": INK, "linewidth": 2.2}
    axes.boxplot(
        dices,
        positions=[row],
        orientation="horizontal",
        widths=0.5,
        showfliers=False,
        boxprops=line,
        whiskerprops=line,
        capprops=line,
        medianprops=median,
    )


def curves_plot(curves: Curves) -> bytes:
    """Loss and validation Dice over steps."""
    both = bool(curves.dice)
    figure, panels = draw(7.2, 2.4, 1 + both)
    panels[0].plot(curves.step, curves.loss, color=BLUE, lw=1.2)
    panels[0].set(xlabel="step", ylabel="loss")
    if both:
        panels[1].plot(curves.dice_step, curves.dice, "o-", color=AMBER, lw=1.2, ms=3)
        panels[1].set(xlabel="step", ylabel="validation Dice")
    return png(figure)


def overlay_plot(planes: Sequence[Picture], labels: Labels) -> bytes:
    """Truth as solid, mask as dashed contours in the labels' colours; every plane at the same scale.

    Where outlines would cover the picture, as with membranes, what is wrong is painted instead.
    """
    widths, heights = zip(*(plane.size for plane in planes), strict=True)
    scale = min(8.8 / sum(widths), 5.2 / max(heights))  # inches per mm
    figure, panels = draw(scale * sum(widths) + 0.3, scale * max(heights) + 0.85, len(planes), widths)
    seen = {int(value) for plane in planes for value in np.union1d(plane.truth, plane.mask)} - {0}
    shown = [label for label in labels.foreground if label.value in seen]
    crowded = any(_outlined(plane, scale) > _CROWDED for plane in planes)
    for axes, plane in zip(panels, planes, strict=True):
        _picture(axes, plane)
        (_paint_errors if crowded else _outline)(axes, plane, shown)
    legend = _errors_legend() if crowded else _legend(shown)
    figure.legend(handles=legend, loc="outside lower center", ncols=6, frameon=False, fontsize=8, labelcolor=INK)
    return few_colours(png(figure))


def _outlined(plane: Picture, scale: float) -> float:
    """The share of a plane, drawn at ``scale`` inches per mm, that lies under outlines of the truth."""
    edges = (plane.truth[1:, 1:] != plane.truth[:-1, 1:]) | (plane.truth[1:, 1:] != plane.truth[1:, :-1])
    return float(edges.mean()) * _OUTLINE / (scale * min(plane.pixel_width, plane.pixel_height))


def _picture(axes: Axes, plane: Picture) -> None:
    aspect = plane.pixel_height / plane.pixel_width
    axes.imshow(plane.image, cmap="gray", vmin=0, vmax=1, aspect=aspect, interpolation="nearest")
    axes.set_title(plane.title, fontsize=8, color=INK)
    axes.set_axis_off()


def _outline(axes: Axes, plane: Picture, labels: Sequence[Label]) -> None:
    for label in labels:
        for values, style in ((plane.truth, "solid"), (plane.mask, (0, (2, 1.2)))):
            inside = values == label.value
            if inside.any() and not inside.all():
                axes.contour(inside.astype(float), [0.5], colors=[rgb(label)], linestyles=[style], linewidths=1.2)


def _paint_errors(axes: Axes, plane: Picture, labels: Sequence[Label]) -> None:
    """Missed: the truth's label is not there. Too much: a label where the truth has the background."""
    paint = np.zeros((*plane.truth.shape, 4))
    wrong = plane.truth != plane.mask
    paint[wrong & (plane.truth > 0)] = to_rgba(RED, 0.65)
    paint[wrong & (plane.truth == 0)] = to_rgba(BLUE, 0.65)
    axes.imshow(paint, aspect=plane.pixel_height / plane.pixel_width, interpolation="nearest")


def _errors_legend() -> list[Patch]:
    return [Patch(color=RED, label="missed, or another label"), Patch(color=BLUE, label="too much")]


def _legend(labels: Sequence[Label]) -> list[Line2D]:
    kinds = [Line2D([], [], color=INK, ls=style, label=name) for style, name in (("-", "truth"), ("--", "mask"))]
    return [*kinds, *(Line2D([], [], color=rgb(label), lw=3, label=label.name) for label in labels[:10])]
