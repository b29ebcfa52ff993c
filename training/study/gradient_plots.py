"""Figures of gradients: by depth, along the layers, before training and while it goes on."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from skipseg.models.networks.kit import Activation
from skipseg.training.reports.canvas import INK, draw, png
from skipseg.training.study.evidence import ratios
from skipseg.training.study.grid import Variation
from skipseg.training.study.panels import PLAIN, RESIDUAL, level, place
from skipseg.training.study.records import Start, Study
from skipseg.training.study.starts import CONDITIONS, Condition

SMALLEST = 1e-12  # drawn: smaller gradients lie on the floor
STYLES: tuple[tuple[Activation, str], ...] = (("relu", "-"), ("sigmoid", ":"))


def ratios_plot(study: Study) -> bytes:
    """First layer's gradient by the last's against depth, a panel per condition; a dot a random initialisation."""
    figure, panels = draw(9.6, 3.1, len(CONDITIONS))
    for axes, condition in zip(panels, CONDITIONS, strict=True):
        for residual, colour in ((False, PLAIN), (True, RESIDUAL)):
            for activation, style in STYLES:
                _ratio_line(axes, study, condition, residual, activation, colour, style)
        axes.axhline(1, color=INK, lw=0.8, alpha=0.6)
        axes.set_xscale("log", base=2)
        axes.set_xticks(study.setup.depths, [str(depth) for depth in study.setup.depths])
        axes.minorticks_off()
        axes.set_yscale("log")
        axes.set_ylim(bottom=max(axes.get_ylim()[0], 1e-13))
        axes.set_title(condition.told.replace(", ", "\n"), fontsize=8, color=INK)
        axes.set_xlabel("convolution layers")
    panels[0].set_ylabel("gradient of first by last layer")
    _twin_legend(figure)
    return png(figure)


def layers_plot(study: Study) -> bytes:
    """Gradient norms along the layers of the deepest networks before any training, a panel per condition."""
    depth = max(study.setup.depths)
    figure, panels = draw(9.6, 3.1, len(CONDITIONS))
    for axes, condition in zip(panels, CONDITIONS, strict=True):
        for start in study.starts:
            one = start.variation
            if (one.depth, one.norm, one.skip) == (depth, condition.norm, condition.skip):
                _along(axes, start)
        axes.set_yscale("log")
        axes.set_title(condition.told.replace(", ", "\n"), fontsize=8, color=INK)
        axes.set_xlabel(f"layer, of {depth}")
    panels[0].set_ylabel("gradient norm by weight norm")
    _twin_legend(figure)
    return png(figure)


def training_gradients_plot(study: Study) -> bytes:
    """The same on the way, in the deepest twins as they are trained; the later the darker."""
    depth = max(study.setup.depths)
    pairs = ((False, "plain", PLAIN), (True, "residual", RESIDUAL))
    figure, panels = draw(8.4, 3.0, 2)
    for axes, (residual, name, colour) in zip(panels, pairs, strict=True):
        for run in study.runs_of(Variation(depth=depth, residual=residual))[:1]:
            for number, norms in enumerate(run.gradients):
                along = np.maximum(norms.along(), SMALLEST)
                shade = 0.25 + 0.75 * (number + 1) / len(run.gradients)
                axes.plot(
                    range(1, len(along) + 1), along, color=colour, lw=1.2, alpha=shade, label=f"step {norms.step}"
                )
            axes.legend(fontsize=7, frameon=False, labelcolor=INK, loc="best")
        axes.set_yscale("log")
        axes.set_title(f"{depth} layers, {name}", fontsize=9, color=INK)
        axes.set_xlabel("layer")
    level(panels)
    panels[0].set_ylabel("gradient norm by weight norm")
    return png(figure)


def _ratio_line(
    axes: Axes, study: Study, condition: Condition, residual: bool, activation: Activation, colour: str, style: str
) -> None:
    found = ratios(study, condition, residual, activation)
    depths = study.setup.depths
    for depth, logs in zip(depths, found, strict=True):
        axes.plot([depth] * len(logs), 10 ** np.array(logs), "o", color=colour, ms=2.5, alpha=0.4, mew=0)
    means = [float(np.mean(logs)) if logs else np.nan for logs in found]
    axes.plot(depths, 10 ** np.array(means), style, color=colour, lw=1.6)


def _along(axes: Axes, start: Start) -> None:
    norms = np.maximum(start.along, SMALLEST)
    colour = RESIDUAL if start.variation.residual else PLAIN
    style = "-" if start.variation.activation == "relu" else ":"
    axes.plot(range(1, len(norms) + 1), norms, style, color=colour, lw=0.9, alpha=0.55)


def _twin_legend(figure: Figure) -> None:
    lines = [Line2D([], [], color=c, lw=3, label=n) for n, c in (("plain", PLAIN), ("residual", RESIDUAL))]
    styles = [Line2D([], [], color=INK, ls=s, label=n) for n, s in (("ReLU", "-"), ("sigmoid", ":"))]
    place(figure, [*lines, *styles])
