"""Figures drawn without a display, as small transparent PNGs that suit a light and a dark page."""

from __future__ import annotations

import io
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from skipseg.models.labels import Label

INK = "#7d8590"  # readable on white and on black
BLUE, AMBER, RED = "#3b82f6", "#f59e0b", "#e5484d"


def draw(
    width: float, height: float, columns: int = 1, ratios: Sequence[float] | None = None, rows: int = 1
) -> tuple[Figure, list[Axes]]:
    """A figure (inches) and its panels, row by row."""
    figure = Figure(figsize=(width, height), layout="constrained", facecolor="none")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(rows, columns, width_ratios=ratios)
    axes = [figure.add_subplot(grid[n // columns, n % columns], facecolor="none") for n in range(rows * columns)]
    for one in axes:
        one.tick_params(colors=INK, labelsize=8)
        one.xaxis.label.set_color(INK)
        one.yaxis.label.set_color(INK)
        for spine in one.spines.values():
            spine.set(edgecolor=INK, alpha=0.4)
        one.grid(alpha=0.2, color=INK)
    return figure, axes


def png(figure: Figure) -> bytes:
    """The file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()


def few_colours(image: bytes) -> bytes:
    """256 colours, a third of the bytes: grey values fill most of an overlay."""
    buffer = io.BytesIO()
    Image.open(io.BytesIO(image)).quantize(256, Image.Quantize.FASTOCTREE).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def rgb(label: Label) -> tuple[float, float, float]:
    """A label's colour as matplotlib takes it."""
    red, green, blue = label.colour
    return red / 255, green / 255, blue / 255
