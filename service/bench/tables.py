"""What was measured, for people: tables on a terminal, Markdown into a file."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from skipseg.service.bench.machine import Machine

WIDE = 1000  # columns of what is no terminal: nothing is cut off


def print_report(
    lines: Sequence[str], header: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]
) -> None:
    """Text, a table, and notes below it, on standard output."""
    console = Console(highlight=False, markup=False)
    for text in lines:
        console.print(text, soft_wrap=True)
    console.print()
    if console.is_terminal:
        console.print(_table(header, rows, box.ROUNDED))
    else:
        console.print(_markdown(header, rows), soft_wrap=True)
    console.print()
    for note in notes:
        console.print(f"- {note}", soft_wrap=True)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], lines: box.Box) -> Table:
    table = Table(box=lines)
    for number, name in enumerate(header):
        table.add_column(name, justify="left" if number == 0 else "right")
    for row in rows:
        table.add_row(*row)
    return table


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    console = Console(width=WIDE, highlight=False, markup=False)
    with console.capture() as written:
        console.print(_table(header, rows, box.MARKDOWN))
    return "\n".join(line.strip() for line in written.get().splitlines() if line.strip())


def machine_lines(machine: Machine, others: float | None) -> list[str]:
    """What a figure has to be judged by."""
    told = "is not known here" if others is None else f"kept {others:.2f} cores busy"
    return [f"Measured on: {machine.told} What else ran on it {told}."]


def size(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


def number(value: float | None, format: str = ".3g") -> str:
    return "-" if value is None else f"{value:{format}}"


def seconds(value: float | None) -> str:
    """Seconds, or milliseconds where they are few."""
    if value is None:
        return "-"
    return f"{value:.3g} s" if value >= 1 else f"{value * 1000:.3g} ms"


def gigabytes(count: int | None) -> str:
    return "-" if count is None else f"{count / 2**30:.2f} GiB"
