"""Memory of scans that came to no mask: refused, failed, or given up by who sent them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and self.held >= LARGE:
            self._look_later(LOOKS)

    def _look_later(self, looks: int) -> None:
        asyncio.get_running_loop().call_later(LOOK_AGAIN_S, self._give_back, looks - 1)

    def _give_back(self, looks: int) -> None:
        if looks and self.holder() is not None:
            self._look_later(looks)
        else:
            asyncio.get_running_loop().run_in_executor(None, give_back_after, self.held)
