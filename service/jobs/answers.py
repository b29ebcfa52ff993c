"""Jobs and their items as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from time import time
from typing import Any

from skipseg.models.errors import JobConflict
from skipseg.models.scans.masks import MASK_FORMATS
from skipseg.models.trust import Trust
from skipseg.service.jobs.deliveries import Deliveries, Delivery, DeliveryCounts, DeliveryState
from skipseg.service.jobs.inputs import ItemList
from skipseg.service.jobs.jobs import eta
from skipseg.service.jobs.ledger import Ledger
from skipseg.service.jobs.records import Counts, ItemState, Job, JobKind, JobState, Outcome, state_of
from skipseg.service.jobs.results import ItemResult, JobFolders
from skipseg.service.jobs.trainings import TrainResult, progress_of
from skipseg.service.retraining.outcome import TrainOutcome, TrainProgress
from skipseg.service.schemas import Answered

NOT_TOLD = ("kind", "asked", "model", "fetch")  # of an order: what the answer says otherwise, or is nobody's business


class Progress(Answered):
    """How many scans have their mask, how many have failed, of how many."""

    done: int
    failed: int
    total: int


class Sent(Answered):
    """The results of an item on their way to a DICOM node; ``problem`` is that of the last try."""

    node: str
    state: DeliveryState
    when: datetime  # it came to be so
    tries: int
    code: str | None = None
    problem: str | None = None

    @classmethod
    def of(cls, delivery: Delivery) -> Sent:
        return cls(when=_when(delivery.changed), **delivery.model_dump(include=set(cls.model_fields) - {"when"}))


class JobAnswer(Answered):
    """A job; of one that succeeded ``progress`` tells how many of its scans failed.

    ``training`` tells how far a training is, ``outcome`` what it came to, ``problem`` why it came to nothing.
    """

    id: str
    kind: JobKind
    state: JobState
    model: str  # name@version; of a training the name
    progress: Progress
    eta_s: float | None
    made: datetime
    started: datetime | None
    ended: datetime | None
    order: dict[str, Any]
    delivery: DeliveryCounts | None = None  # of a job whose results are sent to a DICOM node
    training: TrainProgress | None = None
    outcome: TrainOutcome | None = None
    code: str | None = None
    problem: str | None = None


class JobPage(Answered):
    jobs: tuple[JobAnswer, ...]


class ItemAnswer(Answered):
    """One scan of a job. ``problem`` says why there is no mask, ``code`` the same for programs."""

    item: int
    name: str
    state: ItemState
    code: str | None = None
    problem: str | None = None
    mask: str | None = None  # where to get it
    mask_sha256: str | None = None
    sha256: str | None = None
    seconds: float | None = None
    backend: str | None = None
    volumes_mm3: dict[str, float] | None = None
    notes: tuple[str, ...] = ()
    trust: Trust | None = None
    reused: bool = False
    sent: Sent | None = None


class ItemPage(Answered):
    items: tuple[ItemAnswer, ...]
    total: int


def job(ledger: Ledger, folders: JobFolders, found: Job) -> JobAnswer:
    """Where one stands."""
    return jobs(ledger, folders, [found]).jobs[0]


def jobs(ledger: Ledger, folders: JobFolders, found: Sequence[Job]) -> JobPage:
    """Where several stand."""
    counts = ledger.counts([job.id for job in found])
    sent = Deliveries(ledger.engine).counts([job.id for job in found])
    answered = [_job(job, counts[job.id], sent.get(job.id)) for job in found]
    return JobPage(
        jobs=tuple(
            answer if job.kind == "segment" else answer.model_copy(update=_of_training(ledger, folders, job))
            for answer, job in zip(answered, found, strict=True)
        )
    )


def items(ledger: Ledger, folders: JobFolders, found: Job, start: int, limit: int) -> ItemPage:
    """What became of some of a job's scans, in their order."""
    named = ItemList.read(folders.folder(found.id)).items
    recorded = {outcome.item: outcome for outcome in ledger.outcomes(found.id)}
    begun = ledger.begun(found.id) if found.ended is None else set[int]()
    numbers = range(start, min(start + limit, found.total))
    sent = {item: Sent.of(delivery) for item, delivery in Deliveries(ledger.engine).of_job(found.id).items()}
    answered = (_item(found, number, named[number].name, recorded.get(number), number in begun) for number in numbers)
    told = (answer.model_copy(update={"sent": sent.get(answer.item)}) for answer in answered)
    return ItemPage(items=tuple(told), total=found.total)


def mask(ledger: Ledger, folders: JobFolders, found: Job, item: int) -> tuple[bytes, str]:
    """The bytes of a mask and their media type; raises ``JobConflict`` while, or because, there is none."""
    outcome = next(iter(ledger.outcomes(found.id, item)), None)
    result = None if outcome is None else ItemResult.model_validate_json(outcome.result)
    if result is None or result.mask is None:
        raise JobConflict("this item has no mask: it is not done yet, it failed, or there is no such item")
    media_types = {form.suffix: form.media_type for form in MASK_FORMATS.values()}
    media_type = media_types.get(result.mask_suffix, "application/octet-stream")
    return folders.mask(found.id, result.mask).read_bytes(), media_type


def _job(found: Job, counts: Counts, sent: DeliveryCounts | None) -> JobAnswer:
    order = json.loads(found.order)
    if order.get("send_to") and sent is None:
        sent = DeliveryCounts()
    left = eta(found, counts.done + counts.failed, time())
    return JobAnswer(
        id=found.id,
        kind=found.kind,
        state=state_of(found, counts),
        model=order.get("model") or order["name"],
        progress=Progress(done=counts.done, failed=counts.failed, total=found.total),
        eta_s=None if left is None else round(left, 1),
        made=_when(found.made),
        started=None if found.started is None else _when(found.started),
        ended=None if found.ended is None else _when(found.ended),
        delivery=sent,
        order={name: value for name, value in order.items() if name not in NOT_TOLD},
    )


def _of_training(ledger: Ledger, folders: JobFolders, found: Job) -> dict[str, object]:
    outcome = next(iter(ledger.outcomes(found.id)), None)
    told = TrainResult() if outcome is None else TrainResult.model_validate_json(outcome.result)
    running = progress_of(folders.folder(found.id)) if outcome is None else None
    return {"training": running, "outcome": told.outcome, "code": told.code, "problem": told.problem}


def _item(found: Job, number: int, name: str, outcome: Outcome | None, begun: bool) -> ItemAnswer:
    if outcome is None:
        waits: ItemState = "cancelled" if found.cancelled else "running" if begun else "queued"
        return ItemAnswer(item=number, name=name, state=waits)
    result = ItemResult.model_validate_json(outcome.result)
    told = result.model_dump(include=set(ItemAnswer.model_fields) - {"mask", "item", "name", "state", "sent"})
    path = None if result.mask is None else f"/v1/jobs/{found.id}/items/{number}/mask"
    return ItemAnswer(item=number, name=name, state=outcome.state, mask=path, **told)


def _when(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
