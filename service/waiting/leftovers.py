"""Memory of scans that came to no mask: refused, failed, or given up by who sent them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from skipseg.models.allocator import LARGE, give_back_after

LOOK_AGAIN_S = 1.0
LOOKS = 60


@dataclass
class Leftovers:
    """The context of one scan, on the event loop: on an error the bytes that it ``held`` go back to the system.

    Not at once: the error's frames hold them, and the engine may be in the middle of one of the scan's tiles.
    ``holder`` gives None once nobody has them any more.
    """

    held: int = 0
    holder: Callable[[], object | None] = lambda: None
    _looks: int = field(default=0, init=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and self.held >= LARGE:
            self._look_later()

    def _look_later(self) -> None:
        self._looks += 1
        asyncio.get_running_loop().call_later(LOOK_AGAIN_S, self._give_back)

    def _give_back(self) -> None:
        if self.holder() is not None and self._looks < LOOKS:
            self._look_later()
        else:
            asyncio.get_running_loop().run_in_executor(None, give_back_after, self.held)
