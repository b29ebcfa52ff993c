"""``results.csv``: what the folder's ledger knows, a row a scan, on disk as soon as its mask is."""

from __future__ import annotations

import csv
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

RESULTS = "results.csv"
COLUMNS = (
    "scan",
    "state",
    "mask",
    "format",
    "model",
    "backend",
    "sha256",
    "seconds",
    "shape",
    "spacing_mm",
    "problem",
    "notes",
)
VOLUME = " mm3"  # ends the names of the columns that follow, one a label


@dataclass(frozen=True)
class Result:
    """One row of ``results.csv``."""

    scan: str
    state: str  # done or failed
    model: str
    mask: str = ""
    format: str = ""  # as it was asked for; empty: the scan's own
    backend: str = ""  # what ran the network, and in which precision
    sha256: str = ""  # of the scan's files
    seconds: float = 0.0
    shape: str = ""
    spacing_mm: str = ""
    problem: str = ""
    notes: str = ""  # what whoever gets the mask should know
    parked: bool = False  # it brought the process down again and again: in the ledger alone
    volumes_mm3: dict[str, float] = field(default_factory=dict)  # by label name; empty for a picture


@contextmanager
def results_file(
    path: Path, labels: Iterable[str], earlier: Sequence[Result], scans: Sequence[str]
) -> Iterator[Callable[[Result], None]]:
    """Write rows, from any thread, to a table that begins with ``earlier``; each is on disk when ``write`` returns.

    A later row of a scan supersedes an earlier one, which goes when all is done: until then its mask may be there.
    Rows come as they are made, and lie in the order of ``scans`` when all is done.
    """
    rows, lock = list(earlier), threading.Lock()
    names = list(dict.fromkeys([*labels, *(name for row in rows for name in row.volumes_mm3)]))
    _write_whole(path, names, rows)
    with _open(path, "a") as file:

        def write(result: Result) -> None:
            with lock:
                rows.append(result)
                csv.writer(file).writerow(_cells(result, names))
                file.flush()

        yield write
    _write_whole(path, names, _settled(rows, scans))


def _settled(rows: Sequence[Result], scans: Sequence[str]) -> list[Result]:
    """The last row of each scan; ``scans`` in their order, on the places that they have among the others."""
    last = {row.scan: row for row in rows}
    ours = [last[name] for name in scans if name in last]
    places, in_order = {row.scan for row in ours}, iter(ours)
    return [next(in_order) if name in places else row for name, row in last.items()]


def _write_whole(path: Path, names: Sequence[str], rows: Iterable[Result]) -> None:
    draft = path.with_name(path.name + ".writing")
    try:
        with _open(draft, "w") as file:
            csv.writer(file).writerow([*COLUMNS, *(name + VOLUME for name in names)])
            csv.writer(file).writerows(_cells(row, names) for row in rows)
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _open(path: Path, mode: str) -> IO[Any]:
    """File names may hold bytes that are no UTF-8: they are written, and read, as they are."""
    return path.open(mode, newline="", encoding="utf-8", errors="surrogateescape")


def _cells(result: Result, names: Sequence[str]) -> list[object]:
    return [*(getattr(result, column) for column in COLUMNS), *(result.volumes_mm3.get(name, "") for name in names)]
