"""A portion of a job: the unit that the queue hands to a worker, a few scans at once.

Scans of a portion go through the worker's crew together. A scan that was begun before and has no outcome may be what
brought its worker down: it goes alone, and after two deaths alone it is parked as failed, so that the others succeed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

from skipseg.models.errors import JobUnknown, SkipsegError
from skipseg.service.commands.crew import Crew
from skipseg.service.jobs.crews import Crews
from skipseg.service.jobs.ending import End
from skipseg.service.jobs.inputs import Item, ItemList
from skipseg.service.jobs.ledger import Ledger
from skipseg.service.jobs.orders import SettledOrder
from skipseg.service.jobs.patience import until_it_answers
from skipseg.service.jobs.records import PARKED_AFTER
from skipseg.service.jobs.results import JobFolders
from skipseg.service.jobs.segmenting import Cancel, Segmenting
from skipseg.service.jobs.shipping import Ship
from skipseg.service.jobs.turnstile import Turnstile
from skipseg.service.observing.logs import NAME, without_message

log = logging.getLogger(NAME)


@dataclass(frozen=True)
class Portions:
    """Runs portions of segment jobs in one worker."""

    worker: str
    ledger: Ledger
    folders: JobFolders
    crews: Crews
    end: End
    ship: Ship
    turnstile: Turnstile = field(default_factory=Turnstile)
    _cancels: dict[str, list[Cancel]] = field(default_factory=dict)
    _hands: list[tuple[str, tuple[int, ...], bool]] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def run(self, job: str, round: int, items: Sequence[int]) -> None:
        """Bring every item of a portion to its outcome, unless the job is cancelled; raises nothing."""
        try:
            found = until_it_answers(lambda: self.ledger.job(job))
        except JobUnknown:  # it was deleted
            return
        if found.ended is not None or found.round != round:  # cancelled, perhaps begun anew
            return
        order = SettledOrder.model_validate_json(found.order)
        with self.cancellable(job) as cancel:
            self._run(self.segmenting(job, order, cancel), items)
        self.end(job, order.webhook)

    @property
    def jobs(self) -> list[str]:
        """Those with a portion in hand."""
        return list(self._cancels)

    def cancel(self, job: str) -> None:
        """End what is in flight for a job."""
        with self._lock:
            cancels = list(self._cancels.get(job, []))
        for cancel in cancels:
            cancel.now()

    def segmenting(self, job: str, order: SettledOrder, cancel: Cancel) -> Segmenting:
        """What is the same for every scan of a job."""
        return Segmenting(job, order, self.worker, self.ledger, self.folders, cancel, self.ship)

    def put_down(self) -> None:
        """What is in hand is given up in order: it is not blamed for that."""
        with self._lock:
            hands = list(self._hands)
        for job, items, alone in hands:
            self.ledger.take_back(job, items, alone)

    def _run(self, segmenting: Segmenting, items: Sequence[int]) -> None:
        job = segmenting.job
        left = until_it_answers(lambda: self.ledger.left(job, items))
        if not left:
            return
        try:
            named = ItemList.read(self.folders.folder(job)).items
            with self._crew(segmenting, list(left)) as crew:
                for item, deaths in left.items():
                    if deaths is not None:
                        self._alone(segmenting, item, named, crew, deaths)
                self._together(segmenting, [item for item, deaths in left.items() if deaths is None], named, crew)
        except Exception as error:  # noqa: BLE001 - a model that cannot be loaded, a folder that is gone: the job must still end
            log.error("portion failed", extra={"fields": {"job": job, **without_message(error)}})
            code, words = (error.code, str(error)) if isinstance(error, SkipsegError) else ("internal", "")
            for item in left:
                segmenting.fail(item, code, f"the model or the job's folder cannot be used: {words or 'see the log'}")

    def _alone(self, segmenting: Segmenting, item: int, named: Sequence[Item], crew: Crew, deaths: int) -> None:
        if deaths >= PARKED_AFTER:
            log.error("item parked", extra={"fields": {"job": segmenting.job, "item": item}})
            words = f"the worker died {deaths} times on this scan alone, so it is not tried again"
            return segmenting.fail(item, "parked", f"{words}; look at the file, then retry the job's failed items")
        with self.turnstile.alone():
            if until_it_answers(lambda: self.ledger.left(segmenting.job, [item])):
                with self._begun(segmenting, [item], alone=True):
                    wait([crew.submit(lambda number: segmenting.run(number, named[number], crew), item)])
        return None

    def _together(self, segmenting: Segmenting, items: Sequence[int], named: Sequence[Item], crew: Crew) -> None:
        if not items:
            return
        with self.turnstile.together(), self._begun(segmenting, items, alone=False):
            wait([crew.submit(lambda number: segmenting.run(number, named[number], crew), item) for item in items])

    @contextmanager
    def _crew(self, segmenting: Segmenting, items: Sequence[int]) -> Iterator[Crew]:
        """The model's crew; a model that kills its worker when it is loaded is blamed on what needs it."""
        if not self.crews.has(segmenting.model, segmenting.wishes):
            with self.turnstile.alone(), self._begun(segmenting, items, alone=True):
                with self.crews.hold(segmenting.model, segmenting.wishes):
                    pass
                until_it_answers(lambda: self.ledger.take_back(segmenting.job, items, alone=True))
        with self.crews.hold(segmenting.model, segmenting.wishes) as crew:
            yield crew

    @contextmanager
    def _begun(self, segmenting: Segmenting, items: Sequence[int], alone: bool) -> Iterator[None]:
        """Items that are blamed if the worker dies in the block, unless it ends in order."""
        hand = (segmenting.job, tuple(items), alone)
        until_it_answers(lambda: self.ledger.begin(segmenting.job, items, alone))
        with self._lock:
            self._hands.append(hand)
        try:
            yield
        finally:
            with self._lock:
                self._hands.remove(hand)

    @contextmanager
    def cancellable(self, job: str) -> Iterator[Cancel]:
        """Something of a job that ends when the job is cancelled."""
        cancel = Cancel()
        with self._lock:
            self._cancels.setdefault(job, []).append(cancel)
        try:
            yield cancel
        finally:
            with self._lock:
                self._cancels[job].remove(cancel)
                if not self._cancels[job]:
                    del self._cancels[job]
