"""Several scans in hand: some are read while the device works on others and the masks of yet others are written.

Each scan in hand has a thread of its own, which goes its way from file to mask and mostly waits: for a reader, for
memory, for the engine. So a scan's story reads as if it were the only one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import TypeVar

import torch

from skipseg.models.allocator import give_back_after
from skipseg.models.device_memory import free_bytes
from skipseg.models.inference.engine import Engine
from skipseg.models.inference.flight import Flight
from skipseg.models.inference.predictor import Predictor
from skipseg.models.inference.slab import Sink
from skipseg.models.inference.wishes import AS_PLANNED, Wishes
from skipseg.models.preprocess import fill, locate
from skipseg.models.scans.limits import DEFAULT_LIMITS, Limits
from skipseg.models.scans.volume import Source
from skipseg.service.commands.cases import ScanFiles
from skipseg.service.commands.memory_budget import MemoryBudget

Work = TypeVar("Work")
Made = TypeVar("Made")

MOST_READERS = 8  # more scans than these are never in memory without their share of the budget
MOST_AT_THE_DEVICE = 32


@dataclass(frozen=True)
class Departed:
    """A scan that was read, and is on its way."""

    flight: Flight
    source: Source
    sha256: str  # of its files
    began: float  # when they were opened, by ``perf_counter``


class Crew:
    """Readers, one engine, and as many hands as keep it busy; leaving the ``with`` block early drops what is in hand.

    Memory is bounded: beyond the few scans that are being read, a scan goes on only when what it will take is free.
    """

    def __init__(
        self,
        predictor: Predictor,
        wishes: Wishes = AS_PLANNED,
        limits: Limits = DEFAULT_LIMITS,
        more: Sequence[Callable[[], Sink]] = (),
    ) -> None:
        self.predictor, self.wishes, self.limits, self.more, self.engine = predictor, wishes, limits, more, Engine()
        devices = {torch.device("cpu"), predictor.backend.device}
        self.budget = MemoryBudget(min(free_bytes(device) for device in devices))
        readers = min(max(os.cpu_count() or 1, 2), MOST_READERS)
        # Scans of one tile each fill a batch, while as many as there are readers are read, and as many written.
        hands = 2 * readers + min(predictor.backend.batch, MOST_AT_THE_DEVICE)
        self._readers = ThreadPoolExecutor(readers, "skipseg-reader")
        self._hands = ThreadPoolExecutor(hands, "skipseg-hand")
        self.is_closing = False  # what fails from now on fails for that

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *failure: object) -> None:
        """Give up what was not begun and what is in flight; what is being read or written comes to its end."""
        self.is_closing = True
        self._hands.shutdown(wait=False, cancel_futures=True)
        self._readers.shutdown(wait=False, cancel_futures=True)
        self.engine.close(wait=True)  # the predictor may be given to another engine next
        self._hands.shutdown()

    def each(
        self, work: Callable[[Work], Made], of: Sequence[Work], progress: Callable[[int, int], None]
    ) -> list[Made]:
        """What ``work`` makes of each, in their order, several at once; the first error ends it."""
        futures = [self.submit(work, one) for one in of]
        for done, future in enumerate(as_completed(futures), 1):
            future.result()
            progress(done, len(futures))
        return [future.result() for future in futures]

    def submit(self, work: Callable[[Work], Made], one: Work) -> Future[Made]:
        """Have ``work`` done by the next hand that is free."""
        return self._hands.submit(work, one)

    @contextmanager
    def flown(
        self, scan: ScanFiles, watch: Callable[[Future[Flight]], None] = lambda answer: None
    ) -> Iterator[Departed]:
        """A scan that the network has seen, to be finished in the block, while its memory is held.

        ``watch`` is given what may be cancelled while it is in flight, which raises ``CancelledError`` here. Raises
        what reading and preparing it raises, and ``OSError``.
        """
        with ExitStack() as held:
            departed = self._readers.submit(self._depart, scan, held).result()
            answer = self.engine.fly(departed.flight)
            watch(answer)
            answer.result()
            yield departed

    def _depart(self, scan: ScanFiles, held: ExitStack) -> Departed:
        began, plan, wishes = perf_counter(), self.predictor.plan, self.wishes
        sha256 = scan.sha256()
        volume = scan.read(self.limits)
        located = locate(volume, plan, self.limits, wishes.roi)
        count = self.predictor.foresee(located.placement, wishes)
        held.callback(give_back_after, count)
        held.enter_context(self.budget.hold(count))
        flight = self.predictor.flight(fill(located, plan), "batch", self.more, wishes)
        return Departed(flight, volume.source, sha256, began)
