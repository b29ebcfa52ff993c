"""The rows of ``curve.py`` for people: a Markdown table and a plot."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from skipseg.training.reports.canvas import AMBER, BLUE, INK, RED, draw, png

TOOLS = {"skipseg": BLUE, "nnU-Net": AMBER, "nnU-Net, mirrored": RED}


@dataclass(frozen=True)
class Row:
    """One training, judged on the cases kept out."""

    tool: str
    minutes: float  # asked for
    seed: int
    steps: int
    dice: float | None  # the mean over labels and cases
    labels: dict[str, float | None]  # Dice
    hd95_mm: float | None
    nsd_1mm: float | None
    command_s: float  # wall clock of the whole command that trains
    preparing_s: float | None  # before it, in a command of its own; None: within it
    predicting_s: float | None  # after it, likewise
    others: float | None  # cores that other processes kept busy during the training


def table(rows: Sequence[Row]) -> str:
    """Markdown: a line per budget and tool, means over the seeds, the Dice of every seed beside."""
    labels = list(dict.fromkeys(name for row in rows for name in row.labels))
    titles = ["minutes", "tool", "steps", *(f"Dice {name}" for name in labels), "mean Dice", "of each seed"]
    titles += ["HD95 mm", "surface Dice 1 mm", "command, s", "preparing, s", "predicting, s", "others, cores"]
    lines = [_line(titles), _line(["---"] * len(titles))]
    for minutes in sorted({row.minutes for row in rows}):
        of_tools = ([row for row in rows if (row.minutes, row.tool) == (minutes, tool)] for tool in TOOLS)
        lines += [_line(_cells(alike, labels)) for alike in of_tools if alike]
    return "\n".join(lines)


def plot(rows: Sequence[Row]) -> bytes:
    """PNG: Dice against minutes; a dot per seed, a line through their means."""
    figure, (axes,) = draw(6.4, 3.6)
    for tool, colour in TOOLS.items():
        scored = [(row.minutes, row.dice) for row in rows if row.tool == tool and row.dice is not None]
        if not scored:
            continue
        budgets = sorted({minutes for minutes, _ in scored})
        means = [fmean(dice for minutes, dice in scored if minutes == budget) for budget in budgets]
        axes.plot(budgets, means, color=colour, lw=1.4, label=tool)
        axes.plot(*zip(*scored, strict=True), "o", color=colour, ms=4, alpha=0.7, mew=0)
    asked = sorted({row.minutes for row in rows})
    axes.set_xscale("log")
    axes.set_xticks(asked, [f"{minutes:g}" for minutes in asked])
    axes.set_xticks([], minor=True)
    axes.set_ylim(0, 1)
    axes.set(xlabel="minutes", ylabel="mean Dice on cases kept out")
    axes.legend(loc="lower right", frameon=False, fontsize=8, labelcolor=INK)
    return png(figure)


def _cells(rows: Sequence[Row], labels: Sequence[str]) -> list[str]:
    def of(value: Callable[[Row], float | None], places: int) -> str:
        return _mean((value(row) for row in rows), places)

    each = ", ".join(_mean([row.dice], 3) for row in sorted(rows, key=lambda row: row.seed))
    return [
        f"{rows[0].minutes:g}",
        rows[0].tool,
        of(lambda row: row.steps, 0),
        *(_mean((row.labels.get(name) for row in rows), 3) for name in labels),
        of(lambda row: row.dice, 4),
        each,
        of(lambda row: row.hd95_mm, 2),
        of(lambda row: row.nsd_1mm, 3),
        of(lambda row: row.command_s, 0),
        of(lambda row: row.preparing_s, 0),
        of(lambda row: row.predicting_s, 0),
        of(lambda row: row.others, 2),
    ]


def _mean(values: Iterable[float | None], places: int) -> str:
    known = [value for value in values if value is not None]
    return f"{fmean(known):.{places}f}" if known else "-"


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
