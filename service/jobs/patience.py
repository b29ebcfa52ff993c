"""Waiting for a database that is away: it comes back, and the work is still there."""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import sleep
from typing import TypeVar

from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError, TimeoutError

from skipseg.service.observing.logs import NAME

log = logging.getLogger(NAME)

LONGEST_S = 5.0

Result = TypeVar("Result")


def until_it_answers(ask: Callable[[], Result]) -> Result:
    """What the database answers, asked again and again while it cannot be reached, is locked or has no room."""
    waits = 0.1
    while True:
        try:
            return ask()
        except SQLAlchemyError as error:
            if not is_away(error):
                raise
            log.warning("database away", extra={"fields": {"error": type(error).__name__, "again_in_s": waits}})
        sleep(waits)
        waits = min(2 * waits, LONGEST_S)


def is_away(error: Exception) -> bool:
    """Whether a database may answer the same question later."""
    gone = isinstance(error, DBAPIError) and error.connection_invalidated
    return gone or isinstance(error, OperationalError | TimeoutError)
