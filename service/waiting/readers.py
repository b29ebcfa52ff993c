"""When a scan is read: not long before the device can take it.

Reading and preparing a large scan keeps cores busy that the network of another one needs, and fills memory. Nothing is
gained by it while scans of its kind that are no larger have the device for longer than reading takes: they go first,
as the shortest remaining work does (``models/inference/fairness.py``). What is being read counts among them, with the
time that its bytes let expect. Clearly smaller ones are read at once, and overtake.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from itertools import takewhile
from math import inf
from weakref import WeakKeyDictionary

from skipseg.models.inference.backends.backend import Backend
from skipseg.models.inference.flight import Flight, Way

CLEARLY = 0.5  # of another's bytes: a scan of fewer has less work
READ_S_PER_BYTE = 1e-7  # as it was sent, rather too long than too short
SOON_S, LATE_S = 0.5, 10.0  # reading takes something between these
GLANCE_S = 0.05, 1.0  # how long it is waited at least and at most until what is left is asked for again
KINDS = 100  # of scans, of which it is remembered what the last one needed

Kind = tuple[Way, int]


@dataclass(frozen=True)
class Size:
    """About how much work a scan is, told before it is read: scans of one model, shown in one way, by their bytes."""

    backend: Backend
    way: Way
    bytes: int

    @property
    def kind(self) -> Kind:
        """The same for scans of about the same bytes that are shown in one way."""
        return self.way, self.bytes.bit_length()

    def goes_first(self, other: Size) -> bool:
        """Whether it has a claim to the device before another, once it is in flight."""
        return self.backend is other.backend and self.way == other.way and CLEARLY * self.bytes <= other.bytes


class Readers:
    """So many scans are read at once; used on the event loop alone.

    ``seconds_left`` tells what a flight still needs of the device.
    """

    def __init__(self, most: int, seconds_left: Callable[[Flight], float]) -> None:
        self.free = most
        self._seconds_left = seconds_left
        self._expected: WeakKeyDictionary[Backend, dict[Kind, float]] = WeakKeyDictionary()
        self._ahead: dict[Flight, Size] = {}
        self._reading: list[Size] = []
        self._waiting: dict[asyncio.Event, Size | None] = {}  # the longest first
        self._held_back: set[asyncio.Event] = set()  # of those

    @asynccontextmanager
    async def turn(self, size: Size | None) -> AsyncIterator[None]:
        """Wait for one's turn to read a scan, and hold it; None: of one whose work its bytes do not tell."""
        await self._wait_for_turn(size)
        self.free -= 1
        if size is not None:
            self._reading.append(size)
        try:
            yield
        finally:
            if size is not None:
                self._reading.remove(size)
            self.free += 1
            self._wake()

    @contextmanager
    def ahead(self, flight: Flight, size: Size | None) -> Iterator[None]:
        """A scan is in flight."""
        if size is not None:
            self._ahead[flight] = size
            self._note(size, self._seconds_left(flight))
            self._wake()
        try:
            yield
        finally:
            self._ahead.pop(flight, None)
            self._wake()

    def early_s(self, size: Size) -> float:
        """Seconds until reading a scan would end about when the device is free for it; 0: it is time."""
        ahead = sum(self._seconds_left(flight) for flight, other in self._ahead.items() if other.goes_first(size))
        ahead += sum(self._expected_s(other) for other in self._reading if other.goes_first(size))
        return max(ahead - min(max(READ_S_PER_BYTE * size.bytes, SOON_S), LATE_S), 0.0)

    def _expected_s(self, size: Size) -> float:
        """Seconds that a scan which is being read will need of the device: as the last of about its bytes did.

        Infinite if there was none: others wait until it is in flight, and what it needs is known.
        """
        return self._expected.get(size.backend, {}).get(size.kind, inf)

    def _note(self, size: Size, seconds: float) -> None:
        known = self._expected.setdefault(size.backend, {})
        known.pop(size.kind, None)
        known[size.kind] = seconds
        if len(known) > KINDS:  # ways are as many as there are overlaps that somebody may ask for
            del known[next(iter(known))]

    async def _wait_for_turn(self, size: Size | None) -> None:
        """Those that were held back once keep their places before those of their kind that came later."""
        changed = asyncio.Event()
        self._waiting[changed] = size
        try:
            while (early := self.early_s(size) if size else 0.0) or not self.free or self._later(changed):
                if early:
                    self._held_back.add(changed)
                with suppress(TimeoutError):
                    async with asyncio.timeout(_glance(early) if changed in self._held_back else None):
                        await changed.wait()
                changed.clear()
        finally:
            del self._waiting[changed]
            self._held_back.discard(changed)
            self._wake()

    def _later(self, one: asyncio.Event) -> bool:
        """Whether somebody who goes first was held back, and has waited for longer."""
        size = self._waiting[one]
        before = takewhile(lambda other: other is not one, self._waiting)
        firsts = [self._waiting[other] for other in before if other in self._held_back]
        return size is not None and any(first is not None and first.goes_first(size) for first in firsts)

    def _wake(self) -> None:
        for changed in self._waiting:
            changed.set()


def _glance(early: float) -> float:
    least, most = GLANCE_S
    return min(max(early, least), most)
