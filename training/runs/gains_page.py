"""Gains as a page and as a part of the card."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

from skipseg.training.reports.page import PAGE
from skipseg.training.runs.gains import Gains, Judged

ASKED = {"old": "cases that the base was judged on", "new": "new cases that were kept out"}
HEAD = ("label", "cases", "Dice before", "after", "difference", "95 % interval")
NOTE = "Neither model learned from these cases. Differences are paired, case by case; intervals are bootstrapped."


def write_gains(gains: Gains, folder: Path) -> None:
    """``gains.json`` and ``gains.html`` in ``folder``."""
    (folder / "gains.json").write_text(gains.model_dump_json(indent=1), encoding="utf-8")
    tables = "".join(
        f"<section><h2>{escape(_title(one))}</h2><div class='wide'><table><tr>"
        + "".join(f"<th>{name}</th>" for name in HEAD)
        + "</tr>"
        + "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in _rows(one))
        + "</table></div></section>"
        for one in gains.judged
    )
    body = f"<h1>Gained and lost since {escape(gains.base)}</h1>{tables}<p class='soft'>{NOTE}</p>"
    (folder / "gains.html").write_text(PAGE.substitute(title="gained and lost", body=body), encoding="utf-8")


def gains_markdown(gains: Gains) -> str:
    """The same tables for the card."""
    parts = []
    for one in gains.judged:
        rows = [" | ".join(row) for row in (HEAD, ("---",) * len(HEAD), *_rows(one))]
        parts.append(_title(one) + "\n\n" + "\n".join(f"| {row} |" for row in rows))
    return "\n\n".join([*parts, NOTE])


def _rows(judged: Judged) -> Iterator[tuple[str, ...]]:
    for gain in (judged.mean, *judged.labels):
        spread = "–" if gain.low is None or gain.high is None else f"{gain.low:+.4f} to {gain.high:+.4f}"
        difference = "–" if gain.difference is None else f"{gain.difference:+.4f}"
        yield gain.label, str(gain.cases), _number(gain.before), _number(gain.after), difference, spread


def _title(judged: Judged) -> str:
    return f"{judged.dataset}, {ASKED[judged.kind]}: {len(judged.cases)}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
