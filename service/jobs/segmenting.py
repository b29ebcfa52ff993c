"""One scan of a job, from its bytes to its recorded outcome."""

from __future__ import annotations

import errno
import logging
import os
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from threading import Event, Lock
from time import perf_counter, time

from sqlalchemy.engine import Connection

from skipseg.models.errors import SkipsegError
from skipseg.models.inference.certainty import Doubt
from skipseg.models.inference.flight import Flight
from skipseg.models.inference.wishes import Wishes
from skipseg.models.memory import memory_permitting
from skipseg.models.scans.dicom.choice import SeriesChoice
from skipseg.models.scans.masks import own_format
from skipseg.models.scans.volume import Mask
from skipseg.models.series_rules import with_rules
from skipseg.models.trust import trust_in
from skipseg.service.commands.cases import ScanFiles
from skipseg.service.commands.crew import Crew, Departed
from skipseg.service.jobs.inputs import Item, content_key, files_of
from skipseg.service.jobs.ledger import Enqueue, Ledger
from skipseg.service.jobs.orders import SettledOrder
from skipseg.service.jobs.patience import until_it_answers
from skipseg.service.jobs.records import Outcome
from skipseg.service.jobs.results import ItemResult, JobFolders, Published
from skipseg.service.jobs.shipping import Ship
from skipseg.service.observing.logs import NAME, without_message

log = logging.getLogger(NAME)

NO_ROOM = {errno.ENOSPC, errno.EDQUOT}
LONGEST_WAIT_S = 10.0  # between two looks whether a full disk has room again


@dataclass(eq=False)
class Cancel:
    """Whether a job was cancelled, and what must end at once when it is."""

    happened: Event = field(default_factory=Event)
    _flying: set[Future[Flight]] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)

    def watch(self, answer: Future[Flight]) -> None:
        """Something in flight, whose tiles are freed by cancelling it."""
        with self._lock:
            self._flying.add(answer)
        answer.add_done_callback(self._landed)
        if self.happened.is_set():
            answer.cancel()

    def now(self) -> None:
        self.happened.set()
        with self._lock:
            flying = list(self._flying)
        for answer in flying:
            answer.cancel()

    def _landed(self, answer: Future[Flight]) -> None:
        with self._lock:
            self._flying.discard(answer)


@dataclass(frozen=True)
class Segmenting:
    """What is the same for every scan of a job."""

    job: str
    order: SettledOrder
    worker: str
    ledger: Ledger
    folders: JobFolders
    cancel: Cancel
    ship: Ship

    @property
    def model(self) -> str:
        return self.order.model

    @property
    def wishes(self) -> Wishes:
        return Wishes(self.order.overlap, self.order.tta)

    def run(self, number: int, item: Item, crew: Crew) -> None:
        """Segment a scan and record what came of it; a disk that is full is waited for."""
        waits = 0.5
        while not self.cancel.happened.is_set():
            try:
                with memory_permitting():
                    done = self._done(number, item, crew)
            except CancelledError:
                return None
            except (SkipsegError, OSError) as error:
                if not is_no_room(error):
                    return self.fail(number, *told(error))
                log.warning("no room", extra={"fields": {"job": self.job, "again_in_s": waits}})
            except Exception as error:  # noqa: BLE001 - whatever one scan brings about, the others go on
                log.error("item failed", extra={"fields": {"job": self.job, "item": number, **without_message(error)}})
                return self.fail(
                    number, "internal", f"skipseg failed on it ({type(error).__name__}); please report this"
                )
            else:
                return self.record(number, *done)
            self.cancel.happened.wait(waits)
            waits = min(2 * waits, LONGEST_WAIT_S)
        return None

    def fail(self, number: int, code: str, problem: str) -> None:
        """Record that nothing can be had of a scan."""
        outcome = Outcome(
            item=number,
            state="failed",
            ended=time(),
            worker=self.worker,
            result=ItemResult(model=self.model, code=code, problem=problem).model_dump_json(),
        )
        self._record(outcome, _nothing)

    def record(self, number: int, result: ItemResult, content: str) -> None:
        outcome = Outcome(
            item=number,
            state="done",
            ended=time(),
            worker=self.worker,
            result=result.model_dump_json(),
            content=content,
        )
        node = self.order.send_to
        self._record(outcome, _nothing if node is None else self.ship(self.job, number, node, bool(result.sends)))

    def _record(self, outcome: Outcome, also: Enqueue) -> None:
        until_it_answers(lambda: self.ledger.record(self.job, outcome, also=also))

    def _done(self, number: int, item: Item, crew: Crew) -> tuple[ItemResult, str]:
        with files_of(item, self.folders.scratch(self.job), crew.limits, self._choice(crew)) as scan:
            scan.check_channels(len(crew.predictor.plan.channels))
            sha256 = scan.sha256()
            content = content_key(sha256, self.model, self._options())
            found = self._found(number, content) if self.order.reuse else None
            return found or self._segmented(number, scan, crew), content

    def _choice(self, crew: Crew) -> SeriesChoice:
        return with_rules(self.order.choice, crew.predictor.plan)

    def _options(self) -> str:
        told = {"format", "tta", "overlap"}  # and of DICOM what is asked for, so that keys of before stay the same
        asked = {name for name in ("series", "geometry") if getattr(self.order, name) not in (None, "strict")}
        options = self.order.model_dump_json(include=told | asked)
        return options if self.order.send_to is None else f"{options} and what is sent"

    def _found(self, number: int, content: str) -> ItemResult | None:
        earlier = until_it_answers(lambda: self.ledger.find(content))
        if earlier is None:
            return None
        job, outcome = earlier
        result = ItemResult.model_validate_json(outcome.result)
        try:
            mask = self.folders.share(job, result.mask or "", self.job, number)
            sends = tuple(self.folders.share(job, name, self.job, number) for name in result.sends)
        except FileNotFoundError:  # it has expired
            return None
        return result.model_copy(update={"mask": mask, "sends": sends, "reused": True})

    def _segmented(self, number: int, scan: ScanFiles, crew: Crew) -> ItemResult:
        with crew.flown(scan, self.cancel.watch) as departed:
            return self._published(number, departed, crew)

    def _published(self, number: int, departed: Departed, crew: Crew) -> ItemResult:
        predictor, manifest = crew.predictor, crew.predictor.bundle.manifest
        mask = predictor.finish(departed.flight, departed.source)
        doubt = next(sink for sink in departed.flight.sinks if isinstance(sink, Doubt))
        trust, volumes = trust_in(mask, doubt.entropy, manifest.training.ranges), mask.volumes_mm3()
        file = self.folders.publish(self.job, number, mask.judged(trust), self.order.format)
        return ItemResult(
            model=self.model,
            mask=file.name,
            mask_suffix=file.suffix,
            mask_sha256=file.sha256,
            sha256=departed.sha256,
            weights_sha256=manifest.weights_sha256,
            backend=predictor.told(departed.flight),
            seconds=round(perf_counter() - departed.began, 3),
            shape=tuple(mask.geometry.shape),
            spacing_mm=None if volumes is None else tuple(float(mm) for mm in mask.geometry.spacing),
            volumes_mm3=None if volumes is None else {label: round(mm3, 3) for label, mm3 in volumes.items()},
            trust=trust,
            notes=file.notes,
            sends=self._for_the_node(number, mask, file),
        )

    def _for_the_node(self, number: int, mask: Mask, file: Published) -> tuple[str, ...]:
        """The files that are sent: a segmentation, and the report that refers to it; of a scan that is DICOM."""
        if self.order.send_to is None or mask.source.format != "dicom":
            return ()
        is_it = (self.order.format or own_format(mask.source)) == "dicom-seg"
        segmentation = file if is_it else self.folders.publish(self.job, number, mask, "dicom-seg")
        return segmentation.name, self.folders.publish(self.job, number, mask, "dicom-sr").name


def _nothing(connection: Connection) -> None:
    pass


def is_no_room(error: Exception) -> bool:
    """Whether a disk is full, which passes."""
    return isinstance(error, OSError) and error.errno in NO_ROOM


def told(error: SkipsegError | OSError) -> tuple[str, str]:
    """The code and the words of a failure; files of a server have names that are nobody's business."""
    if isinstance(error, SkipsegError):
        return error.code, str(error)
    if isinstance(error, FileNotFoundError):
        return "scan_gone", "the scan is not where it was when the job was made; put it back and retry the item"
    return "unreadable", f"the scan's file cannot be read: {os.strerror(error.errno or 0)}"
