"""Memory for scans under way: what fits goes ahead, what would fit alone waits, what never will is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from skipseg.models.errors import ScanTooLarge

GIB = 1024**3


class Room:
    """So many bytes, shared by all scans under way; used on the event loop alone."""

    def __init__(self, total: int) -> None:
        self.total, self.held = total, 0
        self._waiting: list[asyncio.Event] = []

    @asynccontextmanager
    async def hold(self, count: int) -> AsyncIterator[None]:
        """Wait for so many bytes and hold them; raises ``ScanTooLarge`` when there are not so many in all."""
        if count > self.total:
            raise ScanTooLarge(
                f"this scan would take {count / GIB:.3g} GiB of memory on its way through the network; this server may "
                f"use {self.total / GIB:.3g} GiB for scans (SKIPSEG_SCAN_MEMORY); crop or resample it"
            )
        while self.held + count > self.total:
            await self._a_change()
        self.held += count
        try:
            yield
        finally:
            self.held -= count
            for waiting in self._waiting:
                waiting.set()

    async def _a_change(self) -> None:
        changed = asyncio.Event()
        self._waiting.append(changed)
        try:
            await changed.wait()
        finally:
            self._waiting.remove(changed)
