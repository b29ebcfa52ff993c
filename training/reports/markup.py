"""Parts of a page: sections, images, numbers and their intervals."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from html import escape

from skipseg.training.judging.intervals import Interval


def section(title: str, content: str) -> str:
    """A box with a heading; ``title`` is markup."""
    return f"<section><h2>{title}</h2>{content}</section>"


def image(png: bytes, text: str) -> str:
    """A picture within the page, and what it shows for those who cannot see it."""
    return f'<img alt="{escape(text)}" src="data:image/png;base64,{base64.b64encode(png).decode()}">'


def table(head: Iterable[str], rows: Iterable[str]) -> str:
    """Column names as text, rows as markup; wider than the page, it scrolls."""
    columns = "".join(f"<th>{escape(name)}</th>" for name in head)
    return f'<div class="wide"><table><tr>{columns}</tr>{"".join(rows)}</table></div>'


def figure(value: str, name: str, below: str = "") -> str:
    """One large number of a headline."""
    more = f'<span class="soft">{below}</span>' if below else ""
    return f'<div><b>{value}</b><span class="soft">{name}</span>{more}</div>'


def number(value: float | None, digits: int) -> str:
    """A dash stands for a number that is not defined."""
    return "–" if value is None else f"{value:.{digits}f}".replace("-", "−")


def signed(value: float | None, digits: int) -> str:
    """As ``number``, for a difference."""
    return "–" if value is None else f"{value:+.{digits}f}".replace("-", "−")


def between(interval: Interval | None, digits: int, write: Callable[[float | None, int], str] = number) -> str:
    """An interval as people write one, or nothing; ``write`` may be ``signed``."""
    return "" if interval is None else f"{write(interval[0], digits)} to {write(interval[1], digits)}"


def cell(value: float | None, digits: int, interval: Interval | None = None) -> str:
    """A number and, below it, its interval."""
    below = f'<span class="range">{between(interval, digits)}</span>' if interval else ""
    return f"<td>{number(value, digits)}{below}</td>"


def share_cell(value: float | None, interval: Interval | None = None) -> str:
    """As ``cell``, for a number from 0 to 1 with a bar behind it."""
    return cell(value, 3, interval).replace("<td>", f'<td class="bar" style="--share: {100 * (value or 0):.1f}%">', 1)


def swatch(colour: tuple[int, int, int]) -> str:
    """A label's colour."""
    return f'<span class="swatch" style="background: rgb{colour}"></span>'
