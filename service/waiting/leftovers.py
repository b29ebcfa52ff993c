"""Memory of scans that came to no mask: refused, failed, or given up by who sent them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self
from weakref import ref

from skipseg.models.allocator import give_back_after
from skipseg.models.inference.flight import Flight

LOOK_AGAIN_S = 1.0


class Leftovers:
    """The context of one scan, on the event loop: on an error the bytes that it held go back to the system.

    Not at once: the error's frames hold them, and the engine may be in the middle of one of the scan's tiles.
    """

    def __init__(self, held: int) -> None:
        self.held = held
        self._flight: Callable[[], Flight | None] = lambda: None

    def are_of(self, flight: Flight) -> None:
        """The flight that holds them from now on."""
        self._flight = ref(flight)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            asyncio.get_running_loop().call_later(LOOK_AGAIN_S, self._give_back)

    def _give_back(self) -> None:
        loop = asyncio.get_running_loop()
        if self._flight() is not None:
            loop.call_later(LOOK_AGAIN_S, self._give_back)
        else:
            loop.run_in_executor(None, give_back_after, self.held)
