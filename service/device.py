"""The one thread that owns the device: work in through a queue, futures back.

A GPU, and a processor's thread pool, do one network at a time best; a thread that owns them needs no lock. It blocks on
the first item, so an idle server costs nothing. The line is bounded by *places*: a scan holds one from the end of its
upload to its answer, so what waits in memory is bounded too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from math import ceil
from time import perf_counter
from typing import TypeVar

from skipseg.models.errors import QueueFull

Result = TypeVar("Result")


class Device:
    """Runs what is submitted, one at a time, in order, on one thread; ``places`` bounds how many scans are at hand."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.taken = 0  # scans between upload and answer
        self._lock = threading.Lock()
        self._typical_s = 0.1  # a moving average of what one item takes
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="skipseg-device")

    def check_room(self) -> None:
        """Raise ``QueueFull`` when every place is taken; cheap, to be asked before an upload is read."""
        if self.taken >= self.places:
            wait = max(1, ceil(self.taken * self._typical_s))
            raise QueueFull(f"{self.taken} scans are being worked on, as many as fit; come back in {wait} s", wait)

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place in the line; raises ``QueueFull``."""
        with self._lock:
            self.check_room()
            self.taken += 1
        try:
            yield
        finally:
            with self._lock:
                self.taken -= 1

    def submit(self, work: Callable[[], Result]) -> Future[Result]:
        """Run ``work`` on the device's thread; a future that is cancelled before its turn never runs."""
        return self._thread.submit(self._timed, work)

    def close(self) -> None:
        """Drop what has not started; the thread ends with what it is doing, which cannot be stopped."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _timed(self, work: Callable[[], Result]) -> Result:
        started = perf_counter()
        try:
            return work()
        finally:
            self._typical_s += 0.2 * (perf_counter() - started - self._typical_s)
