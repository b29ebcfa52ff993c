"""``skipseg dicom listen``: series come in, and become jobs. Read ``listen`` first."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from skipseg import __version__
from skipseg.models.errors import JobUnknown, UsageError
from skipseg.models.registry import Registry
from skipseg.service.datasets.store import DatasetStore
from skipseg.service.dicom.listening.counters import Counters
from skipseg.service.dicom.listening.inbox import Inbox
from skipseg.service.dicom.listening.ordering import Ordering
from skipseg.service.dicom.listening.provider import StorageProvider
from skipseg.service.dicom.listening.records import Held
from skipseg.service.dicom.listening.rulebook import Rulebook
from skipseg.service.dicom.listening.senders import refuse_open
from skipseg.service.dicom.listening.workers import WorkerWatch
from skipseg.service.jobs.jobs import Jobs
from skipseg.service.observing import logs
from skipseg.service.retraining.preparing import Stores
from skipseg.service.settings import Settings
from skipseg.service.store.uploads import UploadStore

log = logging.getLogger(logs.NAME)

LOOK_S = 0.25
AGAIN_S = 5.0  # after disk or database were not there
HOUR_S, TIDY_S = 3600.0, 60.0


def listen(settings: Settings) -> None:
    """Take series in and order them until SIGTERM or Ctrl-C.

    Raises ``UsageError`` for settings that cannot be used: an address, senders, files for TLS, rules, a database, or a
    data folder that another listener has.
    """
    refuse_open(settings)
    folder = settings.data / "dicom" / "listener"
    with _alone(folder):
        rounds = Rounds(settings, folder)
        if settings.dicom_metrics_port:
            rounds.counters.tell_on(settings.dicom_metrics_port, rounds.inbox.waiting)
        ended = _until_told()
        server = StorageProvider(settings, rounds.inbox, rounds.counters).start()
        logs.configure(settings.log_level)
        _announce(settings, server.server_address[1])
        _keep_on(rounds, ended)
        server.end()
        _end()


class Rounds:
    """What the main thread does again and again; patterns of rules can be interrupted there alone."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        registry = Registry(settings.registry)
        self.settings, self.counters, self.rulebook = settings, Counters(), _rulebook(settings, registry)
        self.inbox = Inbox(folder, settings.max_archive_bytes)
        stores = Stores(DatasetStore(settings.datasets), registry)
        jobs = Jobs(settings.model_copy(update={"workers": 0}), stores, UploadStore(settings.uploads))
        self.ordering = Ordering(self.inbox, self.rulebook, jobs, self.counters, settings.min_free_bytes)
        self._workers = WorkerWatch(jobs.ledger)
        self._not_before, self._tidied = 0.0, -TIDY_S
        self._look_again()  # whatever kept a series from being ordered may be mended by now

    def go(self) -> None:
        """One round."""
        if self.rulebook.read_again():
            self._look_again()
        self.inbox.settle_quiet(self.settings.dicom_quiet_s)
        now = time.monotonic()
        if now >= self._not_before and not self.ordering.take_all_on():
            self._not_before = now + AGAIN_S
        self._workers.look(now)
        if now - self._tidied >= TIDY_S:
            self._tidied = now
            self.tidy()

    def _look_again(self) -> None:
        for series in self.inbox.held():
            self.inbox.settle_again(series)

    def tidy(self) -> None:
        """Delete what was held for too long, and forget orders of jobs that were deleted with their results."""
        self._expire()
        for series, ordered in list(self.ordering.records.all()):
            try:
                self.ordering.jobs.ledger.job(ordered.job)
            except JobUnknown:
                self.ordering.records.forget(series)

    def _expire(self) -> None:
        for series in self.inbox.held():
            held = Held.read(series)
            if held is None or time.time() - held.since > self.settings.dicom_keep_hours * HOUR_S:
                reason = held.reason if held else "unknown"
                self.inbox.drop(series)
                self.ordering.counters.series("expired")
                log.warning("series deleted", extra={"fields": {"series": series.stem, "reason": reason}})


def _keep_on(rounds: Rounds, ended: threading.Event) -> None:
    while not ended.wait(LOOK_S):
        try:
            rounds.go()
        except Exception:  # the next round must come, whatever this one met
            log.exception("round failed")
            ended.wait(AGAIN_S)


def _rulebook(settings: Settings, registry: Registry) -> Rulebook:
    if settings.dicom_rules is None:
        raise UsageError(
            "say which series go to which model: SKIPSEG_DICOM_RULES names a file of rules; see docs/pacs.md"
        )
    return Rulebook(settings.dicom_rules, registry, settings.dicom_nodes)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UsageError("another listener is at work in this data folder; end it first, or choose another") from None
    with lock:
        yield


def _announce(settings: Settings, port: int) -> None:
    fields = {"ae": settings.dicom_ae, "host": settings.dicom_host, "port": port, "version": __version__}
    speaks = {"tls": settings.dicom_tls_cert is not None, "senders": len(settings.dicom_senders)}
    logs.announce("listening", {**fields, **speaks})


def _until_told() -> threading.Event:
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    return ended


def _end() -> None:
    """What was answered is on the disk; threads in the middle of an instance are not waited for."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
