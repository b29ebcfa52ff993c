"""A training as a job: begun by a worker, gone on with by the next if that one dies, told of while it runs."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock
from time import time

from pydantic import BaseModel, ConfigDict, ValidationError

from skipseg.models.durable import write_whole
from skipseg.models.errors import JobUnknown, SkipsegError
from skipseg.service.jobs.ending import End
from skipseg.service.jobs.ledger import Ledger
from skipseg.service.jobs.orders import TrainJobOrder
from skipseg.service.jobs.patience import until_it_answers
from skipseg.service.jobs.records import Job, Outcome
from skipseg.service.jobs.results import JobFolders
from skipseg.service.observing.logs import NAME, without_message
from skipseg.service.retraining.machine import Machine
from skipseg.service.retraining.order import TrainOrder
from skipseg.service.retraining.outcome import TrainOutcome, TrainProgress
from skipseg.service.retraining.preparing import Stores
from skipseg.service.retraining.retrain import retrain

log = logging.getLogger(NAME)

TRAINING, PROGRESS = "training", "progress.json"  # in the job's folder
ITEM = 0  # a training is a job of one item
DEATHS = 5  # of workers in the middle of a training, until it is given up


class TrainResult(BaseModel):
    """What became of a training."""

    model_config = ConfigDict(frozen=True)

    outcome: TrainOutcome | None = None
    code: str | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Trainings:
    """Runs trainings in one worker."""

    worker: str
    ledger: Ledger
    folders: JobFolders
    stores: Stores
    machine: Machine
    end: End
    _cancelled: dict[str, Event] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def run(self, id: str) -> None:
        """Bring a training to its outcome; raises nothing."""
        try:
            job = until_it_answers(lambda: self.ledger.job(id))
        except JobUnknown:  # it was deleted
            return
        if job.ended is not None:
            return
        if until_it_answers(lambda: self.ledger.left(id, [ITEM])):
            self._record(job, self._result(job))
        order = TrainJobOrder.model_validate_json(job.order)
        self.end(id, order.webhook)

    @property
    def jobs(self) -> list[str]:
        """Those in hand."""
        return list(self._cancelled)

    def cancel(self, job: str) -> None:
        """End the fit; the best so far becomes a candidate."""
        with self._lock:
            if (cancelled := self._cancelled.get(job)) is not None:
                cancelled.set()

    def _result(self, job: Job) -> TrainResult:
        deaths = until_it_answers(lambda: self.ledger.left(job.id, [ITEM]))[ITEM] or 0
        if deaths >= DEATHS:
            words = f"the worker died {deaths} times in the middle of it; its log may say why; retry the job"
            return TrainResult(code="parked", problem=words)
        until_it_answers(lambda: self.ledger.begin(job.id, [ITEM], alone=True))
        cancelled = Event()
        if job.cancelled:
            cancelled.set()
        with self._lock:
            self._cancelled[job.id] = cancelled
        try:
            return TrainResult(outcome=self._trained(job, cancelled))
        except SkipsegError as error:
            return TrainResult(code=error.code, problem=str(error))
        except Exception as error:  # noqa: BLE001 - the job must end, whatever it is
            log.error("training failed", extra={"fields": {"job": job.id, **without_message(error)}})
            words = f"skipseg failed on it ({type(error).__name__}); the server's log says where; please report this"
            return TrainResult(code="internal", problem=words)
        finally:
            with self._lock:
                del self._cancelled[job.id]

    def _trained(self, job: Job, cancelled: Event) -> TrainOutcome:
        asked = TrainJobOrder.model_validate_json(job.order)
        order = TrainOrder.model_validate(asked.model_dump(by_alias=True, exclude={"kind", "webhook"}))
        folder = self.folders.folder(job.id)

        def progress(found: TrainProgress) -> None:
            write_whole(folder / PROGRESS, found.model_dump_json().encode())

        who = job.owner or "anonymous"
        return retrain(order, folder / TRAINING, self.stores, self.machine, who, cancelled.is_set, progress)

    def _record(self, job: Job, result: TrainResult) -> None:
        outcome = Outcome(
            item=ITEM,
            state="failed" if result.outcome is None else "done",
            ended=time(),
            worker=self.worker,
            result=result.model_dump_json(),
        )
        until_it_answers(lambda: self.ledger.record(job.id, outcome, although_cancelled=True))


def progress_of(folder: Path) -> TrainProgress | None:
    """Where a training is, as far as its worker has told."""
    try:
        return TrainProgress.model_validate_json((folder / PROGRESS).read_bytes())
    except (OSError, ValidationError):
        return None
