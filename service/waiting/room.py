"""Memory for scans under way: what fits goes ahead, what would fit alone waits, what never will is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic

from skipseg.models.errors import ScanTooLarge

GIB = 1024**3
PATIENCE_S = 30.0


@dataclass(frozen=True, eq=False)
class Waiting:
    """A scan that waits for memory, since when, and what wakes it."""

    since: float
    changed: asyncio.Event


class Room:
    """So many bytes, shared by all scans under way; used on the event loop alone."""

    def __init__(self, total: int) -> None:
        self.total, self.held = total, 0
        self._waiting: list[Waiting] = []  # the longest first

    @asynccontextmanager
    async def hold(self, count: int) -> AsyncIterator[None]:
        """Wait for so many bytes and hold them; raises ``ScanTooLarge`` when there are not so many in all.

        Small scans may slip past a large one that waits, until it has waited for ``PATIENCE_S``.
        """
        if count > self.total:
            raise ScanTooLarge(
                f"this scan would take {count / GIB:.3g} GiB of memory on its way through the network; this server may "
                f"use {self.total / GIB:.3g} GiB for scans (SKIPSEG_SCAN_MEMORY); crop or resample it"
            )
        await self._wait_for(count)
        self.held += count
        try:
            yield
        finally:
            self.held -= count
            self._wake()

    async def _wait_for(self, count: int) -> None:
        mine = Waiting(monotonic(), asyncio.Event())
        self._waiting.append(mine)
        try:
            while self.held + count > self.total or self._has_lost_patience(before=mine):
                await mine.changed.wait()
                mine.changed.clear()
        finally:
            self._waiting.remove(mine)
            self._wake()  # whoever waited for this one's turn

    def _has_lost_patience(self, before: Waiting) -> bool:
        first = self._waiting[0]
        return first is not before and monotonic() - first.since > PATIENCE_S

    def _wake(self) -> None:
        for waiting in self._waiting:
            waiting.changed.set()
