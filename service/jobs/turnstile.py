"""Many at once, or one alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition


class Turnstile:
    """Whoever is suspected to bring the process down goes through alone, so that nobody else is blamed for it."""

    def __init__(self) -> None:
        self._inside, self._waiting = 0, 0
        self._changed = Condition()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Beside others, but not while somebody is alone or waits to be."""
        with self._changed:
            while self._inside < 0 or self._waiting:
                self._changed.wait()
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """With nobody beside."""
        with self._changed:
            self._waiting += 1
            while self._inside:
                self._changed.wait()
            self._waiting -= 1
            self._inside = -1
        try:
            yield
        finally:
            with self._changed:
                self._inside = 0
                self._changed.notify_all()
