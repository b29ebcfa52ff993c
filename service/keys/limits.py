"""How often, and how much at once, one caller may ask: no caller takes the server from the others."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from skipseg.service.refusals import TooManyRequests

KEPT = 1024  # callers that are remembered before those are forgotten who have been idle long enough not to matter


@dataclass
class _Caller:
    tokens: float
    filled_at: float
    running: int = 0


class CallerLimits:
    """A token bucket and a count of what runs, a caller; 0 is no limit. For one thread, that of the event loop.

    The bucket holds a minute's worth: a caller that was idle may ask that much in one go.
    """

    def __init__(self, per_minute: int, at_once: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute, self.at_once, self._clock = per_minute, at_once, clock
        self._callers: dict[str, _Caller] = {}

    def slot(self, name: str) -> AbstractContextManager[None]:
        """A request that begins, and ends with the context; raises ``TooManyRequests``, and then it was not counted."""
        caller = self._filled(name)
        if self.at_once and caller.running >= self.at_once:
            raise TooManyRequests(
                f"this key may have {self.at_once} requests under way at once; wait until one of them is answered"
            )
        if self.per_minute:
            self._spend(caller)
        caller.running += 1
        return self._ended(caller)

    @contextmanager
    def _ended(self, caller: _Caller) -> Iterator[None]:
        try:
            yield
        finally:
            caller.running -= 1

    def _spend(self, caller: _Caller) -> None:
        if caller.tokens < 1:
            wait = math.ceil((1 - caller.tokens) * 60 / self.per_minute)
            raise TooManyRequests(f"this key may ask {self.per_minute} times a minute; come back in {wait} s", wait)
        caller.tokens -= 1

    def _filled(self, name: str) -> _Caller:
        now = self._clock()
        if len(self._callers) >= KEPT and name not in self._callers:
            self._forget_the_idle(now)
        caller = self._callers.setdefault(name, _Caller(self.per_minute, now))
        caller.tokens = min(self.per_minute, caller.tokens + (now - caller.filled_at) * self.per_minute / 60)
        caller.filled_at = now
        return caller

    def _forget_the_idle(self, now: float) -> None:
        """After a minute without a request a bucket is full again, as that of a newcomer."""
        self._callers = {
            name: caller for name, caller in self._callers.items() if caller.running or now - caller.filled_at < 60
        }
