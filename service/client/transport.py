"""Requests that are sent again when sending them again can help, and can do no harm."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from skipseg.client.errors import Unreachable, problem_of

TRY_LATER = (429, 503)  # the server has not begun with what it was asked
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0
MOST_PATIENCE_S = 120.0  # with a server that names a time itself

Send = Callable[[], httpx.Response]


@dataclass(frozen=True)
class Transport:
    """One server; ``retries`` bounds how often a request is sent again. Safe for threads."""

    http: httpx.Client
    retries: int

    def ask(self, method: str, path: str, repeatable: bool = True, **more: Any) -> httpx.Response:
        """A success, read whole.

        ``repeatable``: sending it twice does what sending it once does, so it is sent again when the connection breaks.
        Content that is read while it is sent must be given as ``make``, which gives the keywords anew for each try.
        Raises ``Problem`` and ``Unreachable``.
        """
        make: Callable[[], dict[str, Any]] = more.pop("make", dict)
        for waited in range(self.retries + 1):
            last = waited == self.retries
            try:
                answer = self.http.request(method, path, **more, **make())
            except httpx.TransportError as error:
                if last or not (repeatable or isinstance(error, httpx.ConnectError)):
                    raise _unreachable(error) from error
                time.sleep(pause(waited))
                continue
            if answer.is_success:
                return answer
            if last or answer.status_code not in TRY_LATER:
                raise _problem(answer)
            time.sleep(pause(waited, answer.headers.get("Retry-After")))
        raise AssertionError("the last try returns or raises")

    @contextmanager
    def stream(self, path: str, read_timeout: float | None = None) -> Iterator[httpx.Response]:
        """A success of GET, to be read bit by bit, once; raises as ``ask``, also out of the block that reads."""
        timeout: Any = httpx.USE_CLIENT_DEFAULT
        if read_timeout is not None:
            timeout = httpx.Timeout(self.http.timeout.connect, read=read_timeout)
        try:
            with self.http.stream("GET", path, timeout=timeout) as answer:
                if not answer.is_success:
                    answer.read()
                    raise _problem(answer)
                yield answer
        except httpx.TransportError as error:
            raise _unreachable(error) from error


def pause(tried: int, told: str | None = None) -> float:
    """Seconds before the next try: what the server told, else twice as long each time, never in step with others."""
    asked = _seconds(told)
    if asked is not None:
        return min(max(asked, 0.0), MOST_PATIENCE_S)
    return float(min(FIRST_WAIT_S * 2**tried, LONGEST_WAIT_S) * random.uniform(0.5, 1.0))


def _seconds(told: str | None) -> float | None:
    """``Retry-After`` (RFC 9110, 10.2.3): seconds, or a date."""
    if told is None:
        return None
    if told.isdecimal():
        return float(told)
    try:
        return (parsedate_to_datetime(told) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return None


def _problem(answer: httpx.Response) -> Exception:
    return problem_of(answer.status_code, answer.content, answer.headers.get("X-Request-Id", ""))


def _unreachable(error: httpx.TransportError) -> Unreachable:
    reason = f"{type(error).__name__}: {error}"
    return Unreachable(f"the server gave no whole answer ({reason}); is it running, and can it be reached from here?")
