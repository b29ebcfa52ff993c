"""What has outlived its time: ended jobs with their results, uploads that nobody needs, leftovers of the dead."""

from __future__ import annotations

import logging
import shutil
import threading
from contextlib import suppress
from pathlib import Path
from time import time

from skipseg.models.errors import JobConflict, JobUnknown
from skipseg.service.jobs.jobs import Jobs
from skipseg.service.observing.logs import NAME, without_message
from skipseg.service.settings import Settings

log = logging.getLogger(NAME)

EVERY_S = 600.0
DAY_S = 86_400.0
UNFINISHED_S = 6 * 3600.0  # after which a draft belongs to nobody alive


class Sweeper:
    """A thread that deletes what has expired."""

    def __init__(self, jobs: Jobs, settings: Settings) -> None:
        self.jobs, self.settings = jobs, settings
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="skipseg-sweeper", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._ending.set()

    def _run(self) -> None:
        while not self._ending.is_set():
            for part in (find_the_lost, sweep):
                try:
                    part(self.jobs, self.settings, time())
                except Exception as error:  # noqa: BLE001 - the next round must come, whatever this one met
                    log.warning("sweep put off", extra={"fields": without_message(error)})
            self._ending.wait(EVERY_S)


def sweep(jobs: Jobs, settings: Settings, now: float) -> None:
    """Delete what has expired by ``now`` (seconds since 1970)."""
    known, sending = set[str](), {delivery.job for delivery in jobs.deliveries.pending()}
    for job in jobs.ledger.jobs(limit=10**9):
        known.add(job.id)
        if job.ended is not None and now - job.ended > settings.keep_results_days * DAY_S:
            with suppress(JobUnknown, JobConflict):  # somebody was quicker
                if job.id not in sending:
                    jobs.remove(job.id)
        elif job.ended is not None:
            shutil.rmtree(jobs.folders.scratch(job.id), ignore_errors=True)
    needed = jobs.protected_uploads()
    for upload in jobs.uploads.all():
        if upload.id not in needed and now - upload.made.timestamp() > settings.keep_uploads_days * DAY_S:
            jobs.uploads.remove(upload)
    strangers = [path for path in _folders(settings.jobs) if path.name not in known]
    _remove_older(strangers, now - settings.keep_results_days * DAY_S)  # of another database they may be results
    drafts = [path for path in _folders(settings.uploads) if path.name.startswith(".")]
    _remove_older(drafts, now - UNFINISHED_S)


def find_the_lost(jobs: Jobs, settings: Settings, now: float) -> None:
    """Queue open jobs anew that the queue does not know any more: a portion came to an end that nobody foresaw."""
    jobs.send_the_lost()
    for job in jobs.ledger.open_jobs():
        if not jobs.queue.holds(job.id) and not jobs.end_if_done(job):
            log.error("job queued anew", extra={"fields": {"job": job.id}})
            jobs.ledger.requeue(job.id, jobs.queue.put)
            jobs.supervisor.need()


def _remove_older(folders: list[Path], than: float) -> None:
    for folder in folders:
        if folder.stat().st_mtime < than:
            shutil.rmtree(folder, ignore_errors=True)


def _folders(root: Path) -> list[Path]:
    return [path for path in root.iterdir() if path.is_dir()] if root.is_dir() else []
