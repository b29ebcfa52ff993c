"""Who changed what, and when: one JSON object a line, appended and never rewritten."""

from __future__ import annotations

import os
from pathlib import Path

from skipseg.service.datasets.contents import TrailEntry

TRAIL = "trail.jsonl"


def append(folder: Path, entry: TrailEntry) -> None:
    """Add an entry unless it is there already; what a crash left of a line goes first."""
    path = folder / TRAIL
    whole = _whole(path)
    if any(line.revision == entry.revision for line in _entries(whole)[-1:]):
        return
    with path.open("ab") as file:
        file.truncate(len(whole))
        file.write(entry.model_dump_json(exclude_none=True).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read(folder: Path, last: TrailEntry) -> list[TrailEntry]:
    """All entries up to ``last``, which a crash may have kept from being written."""
    entries = _entries(_whole(folder / TRAIL))
    return entries if entries and entries[-1].revision >= last.revision else [*entries, last]


def _whole(path: Path) -> bytes:
    """The file's whole lines."""
    content = path.read_bytes() if path.is_file() else b""
    return content[: content.rfind(b"\n") + 1]


def _entries(lines: bytes) -> list[TrailEntry]:
    return [TrailEntry.model_validate_json(line) for line in lines.splitlines()]
