"""What is known about one request while it is answered; its log line, its headers and its counters come from here."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from starlette.types import Scope

STAGES = ("read", "queue", "preprocess", "network", "postprocess", "write")

# An id that a client chose ends up in the log, so it must not be able to hold a name: hexadecimal digits and dashes.
SAFE_ID = re.compile(r"[0-9a-fA-F-]{8,64}")


@dataclass(frozen=True)
class Interval:
    """One stay in a stage, by ``perf_counter``."""

    stage: str
    began: float
    ended: float


@dataclass
class Stages:
    """Seconds spent per stage of a segmentation; a stage entered twice adds up."""

    seconds: dict[str, float] = field(default_factory=dict)
    intervals: list[Interval] = field(default_factory=list)

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        started = perf_counter()
        try:
            yield
        finally:
            self.add(stage, perf_counter() - started)

    def add(self, stage: str, seconds: float, ended: float | None = None) -> None:
        """So many seconds until ``ended`` (by ``perf_counter``), or until now."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds
        until = perf_counter() if ended is None else ended
        self.intervals.append(Interval(stage, until - seconds, until))

    def milliseconds(self) -> dict[str, float]:
        return {stage: round(seconds * 1000, 2) for stage, seconds in self.seconds.items()}

    def header(self) -> str:
        """``Server-Timing`` (W3C): every stage, in the order of a scan's way."""
        return ", ".join(f"{stage};dur={self.seconds.get(stage, 0.0) * 1000:.2f}" for stage in STAGES)


@dataclass
class RequestRecord:
    """One request; nothing in here may hold a scan's name, path or header text."""

    id: str
    stages: Stages = field(default_factory=Stages)
    model: str | None = None
    caller: str | None = None  # who was let in, as the audit log names them
    target: str | None = None  # what a changing call was about, when it is not the model: a job's id, for one
    shape: tuple[int, ...] | None = None  # channels, X, Y, Z
    code: str | None = None  # of the problem, when there is one


def open_record(scope: Scope) -> RequestRecord:
    """Begin the record of a request, under the client's ``X-Request-Id`` when that is safe to log."""
    given = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"), "")
    record = RequestRecord(given if SAFE_ID.fullmatch(given) else uuid.uuid4().hex)
    scope.setdefault("state", {})["record"] = record
    return record


def record_of(scope: Scope | dict[str, Any]) -> RequestRecord:
    """The record that ``open_record`` began."""
    record = scope["state"]["record"]
    assert isinstance(record, RequestRecord)
    return record
