"""What is to be sent to DICOM nodes, and how far that is: a row an item, written with the item's outcome.

An item's outcome is about its mask, and stays what it is; whether the mask has arrived elsewhere is told here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from time import time
from typing import Any, Literal

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict
from sqlalchemy.engine import Connection, Engine

from skipseg.service.jobs.tables import DELIVERIES

NO_DICOM = "usage"  # code of a scan whose results have no study to belong to
DeliveryState = Literal["pending", "sent", "given_up"]


class Delivery(BaseModel):
    """The results of one item on their way to a node; times are seconds since 1970."""

    model_config = ConfigDict(frozen=True)

    job: str
    item: int
    state: DeliveryState
    node: str
    began: float
    changed: float
    tries: int
    code: str | None = None
    problem: str | None = None


class DeliveryCounts(BaseModel):
    """How many items' results are on their way, have arrived, or are not sent any more."""

    model_config = ConfigDict(frozen=True)

    pending: int = 0
    sent: int = 0
    given_up: int = 0


class Deliveries:
    """Safe for threads and processes; every method is one transaction, or part of its caller's."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def add(self, connection: Connection, job: str, item: int, node: str, state: DeliveryState, **told: Any) -> None:
        """Note, in the commit of an item's outcome, that its results are to be sent, or why they cannot be."""
        row = {"job": job, "item": item, "node": node, "state": state, "tries": 0, **told}
        connection.execute(sa.insert(DELIVERIES).values(**row, began=time(), changed=time()))

    def of(self, job: str, item: int) -> Delivery | None:
        """None for what is not to be sent, or was deleted."""
        return next(iter(self._where(DELIVERIES.c.job == job, DELIVERIES.c.item == item)), None)

    def of_job(self, job: str) -> dict[int, Delivery]:
        return {found.item: found for found in self._where(DELIVERIES.c.job == job)}

    def pending(self) -> list[Delivery]:
        """All that are still to be sent."""
        return self._where(DELIVERIES.c.state == "pending")

    def has_pending(self) -> bool:
        with self.engine.connect() as connection:
            query = sa.select(DELIVERIES.c.job).where(DELIVERIES.c.state == "pending").limit(1)
            return connection.execute(query).first() is not None

    def counts(self, jobs: Sequence[str]) -> dict[str, DeliveryCounts]:
        """How many of each job are in each state; jobs that send nothing are left out."""
        columns = (DELIVERIES.c.job, DELIVERIES.c.state)
        query = sa.select(*columns, sa.func.count()).where(DELIVERIES.c.job.in_(jobs)).group_by(*columns)
        found: dict[str, Counter[str]] = {}
        with self.engine.connect() as connection:
            for job, state, count in connection.execute(query):
                found.setdefault(job, Counter())[state] = count
        return {job: DeliveryCounts(**states) for job, states in found.items()}

    def by_state(self) -> dict[str, int]:
        """How many there are in each state."""
        query = sa.select(DELIVERIES.c.state, sa.func.count()).group_by(DELIVERIES.c.state)
        with self.engine.connect() as connection:
            return {str(state): int(count) for state, count in connection.execute(query)}

    def settle(self, connection: Connection, of: Delivery, state: DeliveryState, **told: Any) -> None:
        """A try has come to something; what others have made of it since stays."""
        mine = sa.and_(DELIVERIES.c.job == of.job, DELIVERIES.c.item == of.item, DELIVERIES.c.state == "pending")
        connection.execute(sa.update(DELIVERIES).where(mine).values(state=state, changed=time(), **told))

    def begin_anew(self, connection: Connection, job: str) -> list[Delivery]:
        """What was given up of a job is pending again, unless there is nothing to send; gives it as it is now."""
        given_up = sa.and_(DELIVERIES.c.state == "given_up", DELIVERIES.c.code != NO_DICOM)
        mine = sa.and_(DELIVERIES.c.job == job, given_up)
        again = {"state": "pending", "began": time(), "changed": time(), "tries": DELIVERIES.c.tries + 1}
        rows = connection.execute(sa.update(DELIVERIES).where(mine).values(**again).returning(DELIVERIES))
        return [Delivery(**row._mapping) for row in rows]

    def _where(self, *conditions: sa.ColumnElement[bool]) -> list[Delivery]:
        query = sa.select(DELIVERIES).where(*conditions).order_by(DELIVERIES.c.job, DELIVERIES.c.item)
        with self.engine.connect() as connection:
            return [Delivery(**row._mapping) for row in connection.execute(query)]
