"""What the ledger holds of a job and of its items."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

JobKind = Literal["segment", "train"]
JobState = Literal["queued", "running", "succeeded", "failed", "cancelled"]
PARKED_AFTER = 2  # deaths of a process that had nothing else in hand, until a scan is not tried again
ItemState = Literal["queued", "running", "done", "failed", "cancelled"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Job(_Frozen):
    """A job, as it was asked for; times are seconds since 1970."""

    id: str
    kind: JobKind
    order: str  # JSON
    owner: str | None = None
    total: int
    priority: int
    round: int = 0
    idempotency_key: str | None = None
    made: float
    started: float | None = None
    ended: float | None = None
    cancelled: bool = False


class Counts(_Frozen):
    """How many of a job's items have an outcome."""

    done: int = 0
    failed: int = 0


class Outcome(_Frozen):
    """What became of an item, recorded once."""

    item: int
    state: Literal["done", "failed"]
    ended: float
    worker: str
    result: str  # JSON
    content: str | None = None


def state_of(job: Job, counts: Counts) -> JobState:
    """Where a job stands; one that ended with every item failed has failed, with some it has succeeded."""
    if job.cancelled:
        return "cancelled"
    if job.ended is None:
        return "queued" if job.started is None else "running"
    return "failed" if counts.failed and not counts.done else "succeeded"
