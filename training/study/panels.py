"""What the figures of a study have in common."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from skipseg.training.reports.canvas import AMBER, BLUE, INK

PLAIN, RESIDUAL = AMBER, BLUE


def level(panels: Sequence[Axes]) -> None:
    """The same vertical axis for all, written at the first alone."""
    low, high = min(axes.get_ylim()[0] for axes in panels), max(axes.get_ylim()[1] for axes in panels)
    for axes in panels:
        axes.set_ylim(low, high)
    for axes in panels[1:]:
        axes.tick_params(labelleft=False)


def legend(figure: Figure, names: Sequence[tuple[str, str]]) -> None:
    """Colours and what they stand for, below the panels."""
    lines = [Line2D([], [], color=colour, lw=3, label=name) for name, colour in names]
    place(figure, lines)


def place(figure: Figure, lines: Sequence[Line2D]) -> None:
    """A legend of lines below the panels."""
    figure.legend(handles=lines, loc="outside lower center", ncols=6, frameon=False, fontsize=8, labelcolor=INK)
