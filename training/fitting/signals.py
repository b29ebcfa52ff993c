"""Ctrl-C and the like, heard between two steps instead of in the middle of one."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

ECHO_SECONDS = 1.0  # torchrun passes on the Ctrl-C that the terminal has sent to everybody already


class Wish:
    """Whether somebody has asked the fit to end."""

    def __init__(self) -> None:
        self.asked = False


@contextmanager
def heeded(terminate: bool) -> Iterator[Wish]:
    """Within it SIGINT, and SIGTERM if ``terminate``, only set ``asked``; a second Ctrl-C later on interrupts at once.

    Outside the main thread nothing is changed: signals do not arrive there.
    """
    wish, first = Wish(), time.monotonic()

    def ask(number: int, frame: Any) -> None:
        nonlocal first
        now = time.monotonic()
        if wish.asked and number == signal.SIGINT and now - first > ECHO_SECONDS:
            raise KeyboardInterrupt
        first = first if wish.asked else now
        wish.asked = True

    if threading.current_thread() is not threading.main_thread():
        yield wish
        return
    numbers = [signal.SIGINT, signal.SIGTERM] if terminate else [signal.SIGINT]
    before = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield wish
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
