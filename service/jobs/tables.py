"""The tables of jobs, beside those of DBOS in one database, so that a job and its place in the queue are one commit.

No table holds a scan's name: names lie in the job's folder, and go with it.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Engine

METADATA = sa.MetaData()

JOBS = sa.Table(
    "skipseg_jobs",
    METADATA,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("order", sa.Text, nullable=False),  # JSON; what was asked for, with the version that was live then
    sa.Column("owner", sa.String(128)),  # who asked, as keys name them
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("priority", sa.Integer, nullable=False),
    sa.Column("round", sa.Integer, nullable=False, server_default="0"),  # counts retries
    sa.Column("idempotency_key", sa.String(200), unique=True),
    sa.Column("made", sa.Float, nullable=False),  # seconds since 1970, as all times here
    sa.Column("started", sa.Float),
    sa.Column("ended", sa.Float),
    sa.Column("cancelled", sa.Boolean, nullable=False, server_default=sa.false()),
)
OUTCOMES = sa.Table(
    "skipseg_outcomes",
    METADATA,
    sa.Column("job", sa.String(32), primary_key=True),
    sa.Column("item", sa.Integer, primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),  # done or failed
    sa.Column("ended", sa.Float, nullable=False),
    sa.Column("worker", sa.String(64), nullable=False),
    sa.Column("result", sa.Text, nullable=False),  # JSON
    sa.Column("content", sa.String(80)),  # what was segmented how, for those who ask for the same again
    sa.Index("skipseg_outcomes_content", "content"),
)
ATTEMPTS = sa.Table(
    "skipseg_attempts",
    METADATA,
    sa.Column("job", sa.String(32), primary_key=True),
    sa.Column("item", sa.Integer, primary_key=True),
    sa.Column("began", sa.Float, nullable=False),
    sa.Column("times", sa.Integer, nullable=False),
    sa.Column("alone", sa.Integer, nullable=False),  # times that nothing else ran beside it
)
DELIVERIES = sa.Table(  # one an item whose results are to be sent to a DICOM node
    "skipseg_deliveries",
    METADATA,
    sa.Column("job", sa.String(32), primary_key=True),
    sa.Column("item", sa.Integer, primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),  # pending, sent or given_up
    sa.Column("node", sa.String(32), nullable=False),
    sa.Column("began", sa.Float, nullable=False),  # when it was ordered, or ordered anew
    sa.Column("changed", sa.Float, nullable=False),
    sa.Column("tries", sa.Integer, nullable=False),  # that have failed
    sa.Column("code", sa.String(32)),
    sa.Column("problem", sa.Text),  # of the last try
)
WORKERS = sa.Table(
    "skipseg_workers",
    METADATA,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("device", sa.String(80), nullable=False),
    sa.Column("seen", sa.Float, nullable=False),
)


def make_tables(engine: Engine) -> None:
    """Make those that are not there yet."""
    try:
        METADATA.create_all(engine)
    except sa.exc.DatabaseError:  # another process made them at the same moment
        METADATA.create_all(engine)
