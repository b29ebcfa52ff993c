"""The line in front of the engine, bounded by *places*.

A scan holds a place from the end of its upload to its answer, so what waits in memory is bounded too.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil

from skipseg.models.errors import QueueFull


class Line:
    """``places`` bounds how many scans are at hand; ``seconds_left`` tells what those under way still need."""

    def __init__(self, places: int, seconds_left: Callable[[], float]) -> None:
        self.places = places
        self.taken = 0  # scans between upload and answer
        self._lock = threading.Lock()
        self._seconds_left = seconds_left

    def check_room(self) -> None:
        """Raise ``QueueFull`` when every place is taken; cheap, to be asked before an upload is read."""
        if self.taken >= self.places:
            wait = max(1, ceil(self._seconds_left() / self.places))  # until the next one is through, about
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
