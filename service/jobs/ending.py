"""The end of a job, told to whom its order names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from skipseg.service.jobs.ledger import Ledger
from skipseg.service.jobs.patience import until_it_answers
from skipseg.service.jobs.records import Job


@dataclass(frozen=True)
class End:
    """Ends a job whose items all have outcomes; ``tell`` puts the message to its webhook into the queue."""

    ledger: Ledger
    tell: Callable[[Connection, Job], None]

    def __call__(self, job: str, webhook: str | None) -> None:
        tell = self.tell if webhook else _nobody
        until_it_answers(lambda: self.ledger.end_if_done(job, tell))


def _nobody(connection: Connection, job: Job) -> None:
    pass
