"""The jobs of one server: what its routes ask for. Read ``submit`` first."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from functools import partial
from secrets import token_hex
from time import time

from pydantic import BaseModel
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from skipseg.models.errors import JobConflict, UsageError
from skipseg.models.inference.wishes import Wishes
from skipseg.models.series_rules import with_rules
from skipseg.service.dicom.nodes import node_named
from skipseg.service.jobs.database import open_database
from skipseg.service.jobs.deliveries import Deliveries
from skipseg.service.jobs.inputs import Finder, ItemList
from skipseg.service.jobs.ledger import Ledger
from skipseg.service.jobs.orders import PRIORITIES, SegmentOrder, SettledOrder, TrainJobOrder
from skipseg.service.jobs.queue import Queue
from skipseg.service.jobs.records import Job, JobKind
from skipseg.service.jobs.results import JobFolders
from skipseg.service.jobs.supervisor import Supervisor
from skipseg.service.jobs.webhooks import check_url
from skipseg.service.observing.logs import NAME
from skipseg.service.retraining.preparing import Stores, check_order
from skipseg.service.settings import Settings
from skipseg.service.store.uploads import UploadStore

log = logging.getLogger(NAME)


class Jobs:
    """Takes orders, tells where they stand, and sees that there are workers."""

    def __init__(self, settings: Settings, stores: Stores, uploads: UploadStore) -> None:
        self.stores, self.registry, self.uploads = stores, stores.registry, uploads
        settings.data.mkdir(parents=True, exist_ok=True)
        url = settings.jobs_database_url
        engine = open_database(url)
        self.ledger, self.deliveries = Ledger(engine), Deliveries(engine)
        self.folders = JobFolders(settings.jobs)
        self.finder = Finder(uploads, settings.allowed_roots, settings.max_items, settings.dicom_nodes)
        self.queue = Queue(url)
        self.settings, self.supervisor = settings, Supervisor(settings, self._has_work)
        if self._has_work():
            self.supervisor.need()

    def submit(self, order: SegmentOrder, model: str, owner: str | None, key: str | None) -> Job:
        """Write an order down, and queue it: when this returns, it will be done.

        ``model`` is the version (name@version) that is meant. Raises what ``Finder.find`` raises, ``ModelUnknown``,
        ``UsageError`` for wishes that the model cannot fulfil, ``JobConflict`` for another order under the same key.
        """
        settled = order.settled(model)
        is_the_same = partial(_is_settled_so, settled)
        if (earlier := self._of_key(owner, key, is_the_same)) is not None:
            return earlier
        self._check_webhook(order.webhook)
        if order.send_to is not None:
            node_named(self.settings.dicom_nodes, order.send_to)
        bundle = self.registry.resolve(model).open()
        Wishes(order.overlap, order.tta).way_for(bundle.plan)
        choice = with_rules(order.choice, bundle.plan)
        found = self.finder.find(order.inputs, len(bundle.plan.channels), choice)
        job = _job("segment", settled, len(found.items), PRIORITIES[order.priority], owner, key)
        found.write(self.folders.make(job.id))
        return self._queued(job, is_the_same)

    def submit_training(self, order: TrainJobOrder, owner: str | None, key: str | None) -> Job:
        """Likewise a training; raises what ``check_order`` raises, and ``JobConflict``."""
        self._check_webhook(order.webhook)
        check_order(order, self.stores)
        job = _job("train", order, 1, PRIORITIES["normal"], owner, key)
        self.folders.make(job.id)
        return self._queued(job, lambda kept: kept.order == job.order)

    def _has_work(self) -> bool:
        """Whether a worker is needed; not while the database is away, which would have nothing for it."""
        try:
            return bool(self.ledger.open_jobs()) or self.queue.has_messages() or self.deliveries.has_pending()
        except SQLAlchemyError:
            return False

    def _of_key(self, owner: str | None, key: str | None, is_the_same: Callable[[Job], bool]) -> Job | None:
        """The job of an order that was sent before, even if what it was made of has expired by now."""
        kept = None if key is None else self.ledger.of_key(_owned(owner, key))
        if kept is not None and not is_the_same(kept):
            raise JobConflict("this Idempotency-Key was used for another order; choose a new one")
        return kept

    def _queued(self, job: Job, is_the_same: Callable[[Job], bool]) -> Job:
        kept = self.ledger.add(job, lambda connection: self.queue.put(connection, job, range(job.total)))
        if kept.id != job.id:
            self.folders.remove(job.id)
            if not is_the_same(kept):
                raise JobConflict("this Idempotency-Key was used for another order; choose a new one")
        self.supervisor.need()
        return kept

    def by_state(self) -> dict[str, int]:
        """How many jobs there are in each state; none are told while the database is away."""
        try:
            return self.ledger.by_state()
        except OperationalError:
            return {}

    def deliveries_by_state(self) -> dict[str, int]:
        """Likewise what is sent to DICOM nodes."""
        try:
            return self.deliveries.by_state()
        except OperationalError:
            return {}

    def cancel(self, id: str) -> Job:
        """End a job; raises ``JobUnknown``, ``JobConflict``."""
        return self.ledger.cancel(id, self._teller(self.ledger.job(id)))

    def end_if_done(self, job: Job) -> bool:
        """Whether this call ended a job, since all its items have outcomes."""
        return self.ledger.end_if_done(job.id, self._teller(job))

    def _teller(self, job: Job) -> Callable[[Connection, Job], None]:
        has_webhook = json.loads(job.order).get("webhook") is not None
        return self.queue.tell if has_webhook else lambda connection, job: None

    def retry(self, id: str) -> Job:
        """Do again what failed, and send again what no node has taken; raises ``JobUnknown``, ``JobConflict``."""
        job = self.ledger.job(id)
        is_sent_again = self._send_again(id)
        try:
            job = self.ledger.retry(id, self.queue.put)
        except JobConflict:
            if not is_sent_again:
                raise
        self.supervisor.need()
        return job

    def _send_again(self, id: str) -> bool:
        with self.deliveries.engine.begin() as connection:
            again = self.deliveries.begin_anew(connection, id)
            for delivery in again:
                self.queue.deliver(connection, id, delivery.item, delivery.tries)
        return bool(again)

    def send_the_lost(self) -> None:
        """Queue anew what is to be sent and the queue does not know any more."""
        for found in self.deliveries.pending():
            if not self.queue.holds_delivery(found.job, found.item):
                log.error("delivery queued anew", extra={"fields": {"job": found.job, "item": found.item}})
                with self.deliveries.engine.begin() as connection:
                    self.deliveries.settle(connection, found, "pending", tries=found.tries + 1)
                    self.queue.deliver(connection, found.job, found.item, found.tries + 1)
                self.supervisor.need()

    def remove(self, id: str) -> None:
        """Delete a job that has ended, with its results; raises ``JobUnknown``, ``JobConflict``."""
        self.ledger.job(id)
        if not self.ledger.forget(id):
            raise JobConflict("the job has not ended; cancel it first")
        self.queue.forget(id)
        self.folders.remove(id)

    def protected_uploads(self) -> set[str]:
        """Uploads that open jobs still read."""
        return {upload for job in self.ledger.open_jobs() for upload in self._uploads_of(job.id)}

    def _uploads_of(self, id: str) -> tuple[str, ...]:
        try:
            return ItemList.read(self.folders.folder(id)).uploads
        except (OSError, ValueError, JobConflict):  # lost or damaged: its items will say so
            return ()

    def _check_webhook(self, url: str | None) -> None:
        if url is None:
            return
        if not self.settings.webhook_secret.get_secret_value():
            raise UsageError("this server sends nothing to webhooks, since SKIPSEG_WEBHOOK_SECRET is not set")
        check_url(url, self.settings.webhook_trusted_hosts)

    def close(self) -> None:
        self.supervisor.close()
        self.queue.close()


def _job(kind: JobKind, order: BaseModel, total: int, priority: int, owner: str | None, key: str | None) -> Job:
    return Job(
        id=token_hex(16),
        kind=kind,
        order=order.model_dump_json(by_alias=True),
        owner=owner,
        total=total,
        priority=priority,
        idempotency_key=None if key is None else _owned(owner, key),
        made=time(),
    )


def _owned(owner: str | None, key: str) -> str:
    """Keys of one owner say nothing to another."""
    return f"{owner or ''}/{key}"


def _is_settled_so(settled: SettledOrder, kept: Job) -> bool:
    return kept.kind == "segment" and SettledOrder.model_validate_json(kept.order).asked == settled.asked


def eta(job: Job, recorded: int, now: float) -> float | None:
    """Seconds until a running job is done at its pace so far; None before its first outcome."""
    if job.ended is not None or job.started is None or not recorded:
        return None
    return (now - job.started) / recorded * (job.total - recorded)
