"""Does anybody work on jobs? The listener only orders."""

from __future__ import annotations

import logging

from sqlalchemy.exc import OperationalError

from skipseg.service.jobs.ledger import Ledger
from skipseg.service.jobs.roster import beats
from skipseg.service.observing.logs import NAME

log = logging.getLogger(NAME)

LOOK_S, AGAIN_S = 20.0, 600.0


class WorkerWatch:
    """Says in the log that jobs wait for a worker while none gives a sign of life."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._looked, self._told = 0.0, -AGAIN_S
        self._beats: dict[str, float] | None = None

    def look(self, now: float) -> None:
        """To be called often; looks once in a while."""
        if now - self._looked < LOOK_S:
            return
        self._looked = now
        try:
            found, waiting = beats(self._ledger.engine), len(self._ledger.open_jobs())
        except OperationalError:
            return
        is_idle = self._beats is not None and not (found.items() - self._beats.items())
        self._beats = found
        if is_idle and waiting and now - self._told >= AGAIN_S:
            self._told = now
            hint = "start skipseg serve or skipseg worker with the same SKIPSEG_DATA"
            log.warning("no worker", extra={"fields": {"jobs": waiting, "hint": hint}})
