"""What was tried into a folder of masks and what came of it: the ledger that jobs have, in a file of the folder's own.

    OUT/.skipseg.sqlite    beside the masks, whose names tell who was scanned as well: this one holds scans' names

One command at a time writes into a folder: it holds the file's lock, which goes with its process, however that ends.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from time import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Engine

from skipseg.models.errors import UsageError
from skipseg.service.commands.results import RESULTS, Result
from skipseg.service.jobs.ledger import Ledger
from skipseg.service.jobs.records import Job, Outcome
from skipseg.service.jobs.tables import make_tables

LEDGER = ".skipseg.sqlite"
JOB = "folder"  # all that is ever segmented into one
PATIENCE_S = 3600  # for the one connection: others wait for it while a disk is slow
MEANS = {sqlite3.SQLITE_FULL: errno.ENOSPC, sqlite3.SQLITE_READONLY: errno.EROFS, sqlite3.SQLITE_IOERR: errno.EIO}

SCANS = sa.Table(
    "skipseg_scans",
    sa.MetaData(),
    sa.Column("item", sa.Integer, primary_key=True),
    sa.Column("name", sa.LargeBinary, nullable=False, unique=True),  # file names may be no text
)


class FolderLedger:
    """Safe for threads; every method is on the file when it returns, though perhaps not yet on the disk."""

    def __init__(self, engine: Engine, path: Path, scans: Sequence[str]) -> None:
        self._ledger, self._path = Ledger(engine), path
        self._hands = dict[str, bool]()  # scans in hand, and whether alone
        with self._telling():
            self._ledger.add(_job(), lambda connection: None)
            self._items = _numbered(engine, scans)
            names = {item: name for name, item in self._items.items()}
            self.rows = [_result(outcome) for outcome in self._ledger.outcomes(JOB)]
            self._recorded = {row.scan for row in self.rows}
            self.suspects = {names[item]: deaths for item, deaths in self._ledger.suspects(JOB).items()}

    def begin(self, scan: str, alone: bool = False) -> None:
        """Note that a scan is in hand, until it is recorded; what was recorded of it before is forgotten."""
        item = self._items[scan]
        with self._telling():
            if scan in self._recorded:
                self._ledger.forget_item(JOB, item)
            self._hands[scan] = alone
            self._ledger.begin(JOB, [item], alone)

    def record(self, result: Result) -> None:
        """What became of a scan."""
        told, item = json.dumps(asdict(result)), self._items[result.scan]
        state: Any = result.state
        with self._telling():
            self._ledger.record(JOB, Outcome(item=item, state=state, ended=time(), worker="", result=told))
        self._hands.pop(result.scan, None)

    def put_down(self) -> None:
        """What is in hand is given up in order: it is not blamed for that."""
        for scan, alone in self._hands.items():
            self._ledger.take_back(JOB, [self._items[scan]], alone)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """What a disk cannot do is told as of any other file."""
        try:
            yield
        except sa.exc.DBAPIError as error:
            number = MEANS.get(_code(error))
            if number is None:
                raise
            raise OSError(number, os.strerror(number), str(self._path)) from None


@contextmanager
def opened(out: Path, scans: Sequence[str]) -> Iterator[FolderLedger]:
    """The ledger of a folder, for a command that segments ``scans`` into it; what it leaves in hand is put down.

    Raises ``UsageError`` when another command has it, it cannot be opened, or results lie there that it is not of.
    """
    path = out / LEDGER
    if (out / RESULTS).exists() and not path.exists():
        raise UsageError(
            f"{out / RESULTS} is there without {LEDGER}, which tells what it is of; choose another --out, or move both "
            "the table and its masks away"
        )
    engine = _engine(path)
    try:
        with _refused_in_words(out):
            make_tables(engine)
            SCANS.metadata.create_all(engine)
        ledger = FolderLedger(engine, path, scans)
        try:
            yield ledger
        finally:
            with suppress(sa.exc.SQLAlchemyError):  # then it goes alone the next time, which does no harm
                ledger.put_down()
    finally:
        engine.dispose()


def _engine(path: Path) -> Engine:
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)), pool_size=1, max_overflow=0, pool_timeout=PATIENCE_S
    )
    event.listen(engine, "connect", _set_up)
    return engine


def _set_up(connection: sqlite3.Connection, _: Any) -> None:
    """One connection keeps the file for itself. After a power cut the latest entries may be missing, never others."""
    connection.isolation_level = "IMMEDIATE"
    for pragma in ("busy_timeout=0", "locking_mode=EXCLUSIVE", "journal_mode=WAL", "synchronous=NORMAL"):
        connection.execute(f"PRAGMA {pragma}")


@contextmanager
def _refused_in_words(out: Path) -> Iterator[None]:
    try:
        yield
    except sa.exc.DBAPIError as error:
        if _code(error) == sqlite3.SQLITE_BUSY:
            words = f"another command is writing into {out}; wait until it has ended, or choose another --out"
            raise UsageError(words) from None
        if (number := MEANS.get(_code(error))) is not None:
            raise OSError(number, os.strerror(number), str(out)) from None
        raise UsageError(f"{out / LEDGER} cannot be opened ({error.orig}); choose another --out") from None


def _code(error: sa.exc.DBAPIError) -> int:
    """SQLite's reason, less its details."""
    return int(getattr(error.orig, "sqlite_errorcode", 0)) & 0xFF


def _numbered(engine: Engine, scans: Sequence[str]) -> dict[str, int]:
    """All scans that a folder ever had and ``scans``, with their numbers in the ledger."""
    new = sa.dialects.sqlite.insert(SCANS).on_conflict_do_nothing()
    with engine.begin() as connection:
        connection.execute(new, [{"name": os.fsencode(scan)} for scan in scans])
        return {os.fsdecode(name): item for item, name in connection.execute(sa.select(SCANS))}


def _job() -> Job:
    return Job(id=JOB, kind="segment", order="{}", total=0, priority=0, idempotency_key=JOB, made=time())


def _result(outcome: Outcome) -> Result:
    return Result(**json.loads(outcome.result))
