"""Memory for scans in hand: who finds too little of it waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class MemoryBudget:
    """So many bytes, shared by threads that each work on a scan; they are served in the order in which they ask."""

    def __init__(self, total: int) -> None:
        self.total, self.held = total, 0
        self._turn = threading.Lock()  # a large scan would otherwise wait for as long as small ones slip past it
        self._changed = threading.Condition()

    @contextmanager
    def hold(self, count: int) -> Iterator[None]:
        """Wait for so many bytes and hold them; a scan larger than all there is goes alone, and may yet fit."""
        count = min(count, self.total)
        with self._turn, self._changed:
            self._changed.wait_for(lambda: self.held + count <= self.total)
            self.held += count
        try:
            yield
        finally:
            with self._changed:
                self.held -= count
                self._changed.notify_all()
