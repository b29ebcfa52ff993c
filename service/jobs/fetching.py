"""Jobs whose scan is in a PACS: fetched first, and segmented when it is there.

Whoever waits for a node holds no place in a queue: the next try is queued for later, and jobs of other nodes and jobs
without any go on.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from pathlib import Path
from time import time

from skipseg.models.errors import JobUnknown, SkipsegError
from skipseg.models.registry import Registry
from skipseg.models.scans.limits import Limits
from skipseg.models.series_rules import with_rules
from skipseg.service.dicom.nodes import Node, web_node_named
from skipseg.service.dicom.study import bring
from skipseg.service.jobs.inputs import ItemList, fetched
from skipseg.service.jobs.orders import SettledOrder, WebSeries
from skipseg.service.jobs.patience import until_it_answers
from skipseg.service.jobs.portions import Portions
from skipseg.service.jobs.queue import Queue
from skipseg.service.jobs.records import Job
from skipseg.service.jobs.segmenting import Cancel, is_no_room, told
from skipseg.service.observing.logs import NAME
from skipseg.service.refusals import NodeAway

log = logging.getLogger(NAME)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 60.0


class _Later(Exception):
    """Not now; ``patient``: however long it takes."""

    def __init__(self, code: str, pause: float = 0.0, patient: bool = False) -> None:
        super().__init__(code)
        self.code, self.pause, self.patient = code, pause, patient


@dataclass(frozen=True)
class Fetching:
    """Runs jobs whose scans are fetched, in one worker; ``hours`` is how long a node that is away is waited for."""

    nodes: Mapping[str, Node]
    hours: float
    registry: Registry
    limits: Limits
    queue: Queue
    portions: Portions

    def run(self, job: str, round: int, items: Sequence[int], tries: int, since: float) -> None:
        """Fetch what has no outcome yet, and segment it; or queue another try. Raises nothing."""
        try:
            found = until_it_answers(lambda: self.portions.ledger.job(job))
        except JobUnknown:  # it was deleted
            return
        if found.ended is not None or found.round != round:
            return
        try:
            self._fetch(found, items)
        except CancelledError:
            return
        except _Later as later:
            return self._try_later(found, items, tries, since, later)
        self.portions.run(job, round, items)
        shutil.rmtree(self.portions.folders.scratch(job), ignore_errors=True)  # nothing else of this job is in there

    def _fetch(self, job: Job, items: Sequence[int]) -> None:
        """Bring every item's series to its place; of one that cannot be had the reason is recorded."""
        order = SettledOrder.model_validate_json(job.order)
        with self.portions.cancellable(job.id) as cancel:
            segmenting = self.portions.segmenting(job.id, order, cancel)
            for item in until_it_answers(lambda: self.portions.ledger.left(job.id, items)):
                try:
                    self._bring(job.id, order, item, cancel)
                except NodeAway as error:
                    raise _Later(error.code, error.retry_after_s) from error
                except (SkipsegError, OSError) as error:
                    if is_no_room(error):
                        raise _Later("no_room", patient=True) from error
                    segmenting.fail(item, *told(error))

    def _bring(self, job: str, order: SettledOrder, item: int, cancel: Cancel) -> None:
        def check() -> None:
            if cancel.happened.is_set():
                raise CancelledError

        series = self._series(job, item)
        _, node = web_node_named(self.nodes, series.node)
        rule = with_rules(order.choice, self.registry.resolve(order.model).open().plan).rules[0]
        bring(node, series.study, series.series, rule, self._place(job, item), self.limits, check)

    def _try_later(self, job: Job, items: Sequence[int], tries: int, since: float, later: _Later) -> None:
        """Queue another try after a pause that grows; after so many hours the items fail."""
        waited = time() - since
        pause = min(max(FIRST_PAUSE_S, waited / 2, later.pause), LONGEST_PAUSE_S)
        if not later.patient and waited + pause > self.hours * 3600:
            return self._give_up(job, items, later)
        about = {"job": job.id, "code": later.code, "again_in_s": round(pause, 1)}
        log.warning("fetched later", extra={"fields": about})
        again = (job.id, job.round, items, tries + 1, since, pause)

        def put() -> None:
            with self.portions.ledger.engine.begin() as connection:
                self.queue.fetch(connection, *again)

        return until_it_answers(put)

    def _give_up(self, job: Job, items: Sequence[int], later: _Later) -> None:
        order = SettledOrder.model_validate_json(job.order)
        words = f"{later.__cause__}; it was waited for ({self.hours:g} h). Retry the job when the node is back"
        with self.portions.cancellable(job.id) as cancel:
            segmenting = self.portions.segmenting(job.id, order, cancel)
            for item in until_it_answers(lambda: self.portions.ledger.left(job.id, items)):
                segmenting.fail(item, later.code, words)
        self.portions.end(job.id, order.webhook)

    def _place(self, job: str, item: int) -> Path:
        series = self._series(job, item)
        return fetched(self.portions.folders.scratch(job), series)

    def _series(self, job: str, item: int) -> WebSeries:
        series = ItemList.read(self.portions.folders.folder(job)).items[item].web
        assert series is not None
        return series
