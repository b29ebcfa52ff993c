"""The database of a server's jobs: our tables beside those of DBOS."""

from __future__ import annotations

import logging
import sqlite3
from typing import Any

import sqlalchemy as sa
from dbos import DBOS
from sqlalchemy import event
from sqlalchemy.engine import Engine

from skipseg.models.errors import UsageError
from skipseg.service.jobs.tables import make_tables

SQLITE_PATIENCE_MS = 30_000  # until a writer gives up on the others


def open_database(url: str) -> Engine:
    """The database at a URL, with all tables made; raises ``UsageError`` when it cannot be opened."""
    logging.getLogger("dbos").setLevel(logging.CRITICAL)
    try:
        DBOS.migrate(url)
        engine = sa.create_engine(_with_driver(url), pool_pre_ping=True, pool_size=16, max_overflow=48, **_limits(url))
        if engine.dialect.name == "sqlite":
            event.listen(engine, "connect", _set_up_sqlite)
        make_tables(engine)
    except (sa.exc.SQLAlchemyError, OSError) as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise UsageError(f"the database of jobs cannot be opened ({reason}); see SKIPSEG_JOBS_DATABASE") from None
    return engine


def _with_driver(url: str) -> sa.URL:
    parsed = sa.make_url(url)
    return parsed.set(drivername="postgresql+psycopg") if parsed.drivername.startswith("postgres") else parsed


def _limits(url: str) -> dict[str, Any]:
    """A PostgreSQL that has gone silent is noticed within half a minute."""
    if sa.make_url(url).get_backend_name() == "sqlite":
        return {}
    keepalives = {"keepalives_idle": 5, "keepalives_interval": 5, "keepalives_count": 3}
    return {"connect_args": {"connect_timeout": 5, "tcp_user_timeout": 20_000, **keepalives}}


def _set_up_sqlite(connection: sqlite3.Connection, _: Any) -> None:
    """Writers take turns from their first statement on, so that none finds out late that it came second."""
    connection.isolation_level = "IMMEDIATE"
    for pragma in (f"busy_timeout={SQLITE_PATIENCE_MS}", "journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")
