"""Structured logs: one JSON object a line on standard error, with no patient in it.

Only our own lines are written, and the warnings of uvicorn and of what sends spans, which never see a scan. Other
libraries warn with the text of headers and the paths of files, so their loggers and Python's warnings end in nothing,
and so does what C and C++ write to standard output and error past Python: MetaIO repeats headers there. Of an exception
the class and the frames are written, never the message; of a crash the frames.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import sys
import threading
import traceback
from datetime import UTC, datetime
from typing import TextIO

NAME = "skipseg"


class JsonLines(logging.Formatter):
    """``log.info("event", extra={"fields": {...}})`` as ``{"time": ..., "level": ..., "event": ..., **fields}``."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = without_message(record.exc_info[1])
        return json.dumps(line, default=str)


def without_message(error: BaseException) -> dict[str, object]:
    """An exception's class and frames, and those of its cause."""
    frames = traceback.extract_tb(error.__traceback__)
    told: dict[str, object] = {
        "class": f"{type(error).__module__}.{type(error).__qualname__}",
        "frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }
    cause = error.__cause__ or error.__context__
    return {**told, "cause": without_message(cause)} if cause is not None else told


def announce(event: str, fields: dict[str, object]) -> None:
    """Write a line whatever the level: what a program that started the server waits for."""
    logger = logging.getLogger(NAME)
    logger.handle(logger.makeRecord(NAME, logging.INFO, __file__, 0, event, (), None, extra={"fields": fields}))


def configure(level: str) -> None:
    """Write our lines from ``level`` up, and the warnings of those whose lines hold nobody's words."""
    handler = logging.StreamHandler(_alone_on_standard_error())
    handler.setFormatter(JsonLines())
    for name, least in ((NAME, level.upper()), ("uvicorn", "WARNING"), ("opentelemetry", "WARNING")):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(least)
    logging.getLogger().handlers = [logging.NullHandler()]
    logging.captureWarnings(True)
    threading.excepthook = _thread_failed


def _alone_on_standard_error() -> TextIO:
    """Where standard error led; from now on only Python code gets there, and to standard output."""
    sys.stdout.flush()
    sys.stderr.flush()
    sys.stdout, sys.stderr = (os.fdopen(os.dup(descriptor), "w", buffering=1) for descriptor in (1, 2))
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    faulthandler.enable(sys.stderr)
    return sys.stderr


def _thread_failed(failure: threading.ExceptHookArgs) -> None:
    log = logging.getLogger(NAME)
    if failure.exc_value is not None:
        log.error("thread failed", exc_info=failure.exc_value)
