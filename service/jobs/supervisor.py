"""Workers as processes of the server's own: begun when there is work, begun again when they die."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from skipseg.service.observing.logs import NAME
from skipseg.service.settings import Settings

log = logging.getLogger(NAME)

LOOK_S = 0.5
NOTICE_S = 2.0  # between two looks for work that another process has ordered
LONGEST_PAUSE_S = 30.0  # before a worker that keeps dying at once is begun again
SETTLED_S = 60.0  # a worker that lived as long is begun again at once
GRACE_S = 5.0


@dataclass
class Place:
    """One worker, and what became of the ones before it in its place."""

    process: subprocess.Popen[bytes] | None = None
    began: float = 0.0
    deaths: int = 0  # in a row, each soon after its beginning
    not_before: float = 0.0


class Supervisor:
    """Keeps as many workers alive as the settings say, from the first work on.

    That is a call of ``need``, or work that ``has_work`` finds, which another process may have ordered.
    """

    def __init__(self, settings: Settings, has_work: Callable[[], bool]) -> None:
        self.settings, self._has_work = settings, has_work
        self._places = [Place() for _ in range(settings.workers)]
        self._needed, self._ending = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="skipseg-supervisor", daemon=True)
        self._thread.start()

    def need(self) -> None:
        """There is work."""
        self._needed.set()

    def close(self) -> None:
        """End the workers; what they had in hand is done again by the next."""
        self._ending.set()
        self._needed.set()
        self._thread.join()
        living = [place.process for place in self._places if place.process is not None]
        for process in living:
            process.terminate()
        for process in living:
            try:
                process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()

    def _run(self) -> None:
        while not self._needed.wait(NOTICE_S) and not self._has_work():
            pass
        while not self._ending.is_set():
            for place in self._places:
                self._look_after(place)
            self._ending.wait(LOOK_S)

    def _look_after(self, place: Place) -> None:
        if place.process is not None:
            if (code := place.process.poll()) is None:
                return
            self._note_death(place, code)
        if monotonic() >= place.not_before:
            try:
                place.process, place.began = self._begun(), monotonic()
            except OSError as error:  # no memory, too many processes
                log.error("worker not begun", extra={"fields": {"reason": os.strerror(error.errno or 0)}})
                place.not_before = monotonic() + LONGEST_PAUSE_S

    def _note_death(self, place: Place, code: int) -> None:
        assert place.process is not None
        if place.process.stdin is not None:
            place.process.stdin.close()
        log.error("worker died", extra={"fields": {"pid": place.process.pid, "code": code}})
        place.process = None
        place.deaths = 0 if monotonic() - place.began > SETTLED_S else place.deaths + 1
        pause = min(2.0 ** (place.deaths - 2), LONGEST_PAUSE_S) if place.deaths > 1 else 0.0
        place.not_before = monotonic() + pause

    def _begun(self) -> subprocess.Popen[bytes]:
        """A worker that ends with this process, since its standard input does."""
        command = [sys.executable, "-m", "skipseg", "worker", "--supervised"]
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=sys.stdout,  # ours, which is not where the standard output of C libraries goes
            stderr=sys.stderr,
            env=self._environment(),
            start_new_session=True,
        )

    def _environment(self) -> dict[str, str]:
        """This process's, which has the settings and the secrets, and what the command line chose instead."""
        return {
            **os.environ,
            "SKIPSEG_DATA": str(self.settings.data.absolute()),
            "SKIPSEG_DEVICE": self.settings.device,
        }
