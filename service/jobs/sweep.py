"""What has outlived its time: ended jobs with their results, uploads that nobody needs, leftovers of the dead."""

from __future__ import annotations

import logging
import shutil
import threading
from pathlib import Path
from time import time

from sqlalchemy.exc import DBAPIError

from skipseg.service.jobs.jobs import Jobs
from skipseg.service.logs import NAME, without_message
from skipseg.service.settings import Settings

log = logging.getLogger(NAME)

EVERY_S = 600.0
DAY_S = 86_400.0
UNFINISHED_S = 6 * 3600.0  # after which a draft, or a folder without a job, belongs to nobody alive


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
            try:
                sweep(self.jobs, self.settings, time())
            except (DBAPIError, OSError) as error:  # the database is away, a folder is: the next round does it
                log.warning("sweep put off", extra={"fields": without_message(error)})
            self._ending.wait(EVERY_S)


def sweep(jobs: Jobs, settings: Settings, now: float) -> None:
    """Delete what has expired by ``now`` (seconds since 1970)."""
    _find_the_lost(jobs)
    known = set[str]()
    for job in jobs.ledger.jobs(limit=10**9):
        known.add(job.id)
        if job.ended is not None and now - job.ended > settings.keep_results_days * DAY_S:
            jobs.remove(job.id)
        elif job.ended is not None:
            shutil.rmtree(jobs.folders.scratch(job.id), ignore_errors=True)
    needed = jobs.protected_uploads()
    for upload in jobs.uploads.all():
        if upload.id not in needed and now - upload.made.timestamp() > settings.keep_uploads_days * DAY_S:
            jobs.uploads.remove(upload)
    _remove_the_forgotten([path for path in _folders(settings.jobs) if path.name not in known], now)
    _remove_the_forgotten([path for path in _folders(settings.uploads) if path.name.startswith(".")], now)


def _find_the_lost(jobs: Jobs) -> None:
    """Open jobs that the queue does not know any more: a portion came to an end that nobody foresaw."""
    for job in jobs.ledger.open_jobs():
        if not jobs.queue.holds(job.id) and not jobs.ledger.end_if_done(job.id):
            log.error("job queued anew", extra={"fields": {"job": job.id}})
            jobs.ledger.requeue(job.id, jobs.queue.put)
            jobs.supervisor.need()


def _remove_the_forgotten(folders: list[Path], now: float) -> None:
    for folder in folders:
        if now - folder.stat().st_mtime > UNFINISHED_S:
            shutil.rmtree(folder, ignore_errors=True)


def _folders(root: Path) -> list[Path]:
    return [path for path in root.iterdir() if path.is_dir()] if root.is_dir() else []
