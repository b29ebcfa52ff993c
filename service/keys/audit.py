"""The audit log: who changed what, and who was not let in. One JSON object a line, and no patient in it.

Lines are only ever appended, by one write each, so that several processes may share the file. It is opened anew for
each, so it can be moved away while the server runs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from skipseg.service.keys.owner import hand_to_owner_of

FILE = "audit.jsonl"


class AuditLog:
    """``audit.jsonl`` of one data folder."""

    def __init__(self, data: Path) -> None:
        self.path = data / FILE

    def open_for_good(self) -> None:
        """See that lines can be kept at all, before any is due; raises ``OSError``."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._opened():
            pass

    def append(self, fields: Mapping[str, object]) -> None:
        """Add a line; it outlives this process from now on. Raises ``OSError``."""
        line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **fields}
        with self._opened() as descriptor:
            text = _fresh_line(descriptor) + json.dumps(line).encode() + b"\n"
            if os.write(descriptor, text) != len(text):
                raise OSError("the disk is full")

    def sync(self) -> None:
        """Have what was added outlive the machine; raises ``OSError``."""
        with self._opened() as descriptor:
            os.fsync(descriptor)

    @contextmanager
    def _opened(self) -> Iterator[int]:
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            hand_to_owner_of(self.path.parent, self.path)
            yield descriptor
        finally:
            os.close(descriptor)


def _fresh_line(descriptor: int) -> bytes:
    """A line break, where a full disk has torn the line before: it must not swallow the next."""
    size = os.fstat(descriptor).st_size
    if not size:
        return b""
    os.lseek(descriptor, size - 1, os.SEEK_SET)
    return b"" if os.read(descriptor, 1) == b"\n" else b"\n"
