"""Structured logs: one JSON object a line on standard error, with no patient in it.

Only our own lines and uvicorn's are written. Libraries warn with the text of headers and the paths of files, so their
loggers and Python's warnings end in nothing; of an exception, the class and the frames are written, never the message.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime

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
    """Write our lines from ``level`` up, and uvicorn's warnings."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name, least in ((NAME, level.upper()), ("uvicorn", "WARNING")):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(least)
    logging.getLogger().handlers = [logging.NullHandler()]
    logging.captureWarnings(True)
