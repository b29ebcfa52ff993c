"""The ledger of jobs: what was asked, what was tried, what came of it.

The one promise: an item may be computed twice; its outcome is recorded once. The first to record wins, and whoever
comes second is told so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from time import time
from typing import Any, get_args

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine

from skipseg.models.errors import JobConflict, JobUnknown
from skipseg.service.jobs.records import Counts, Job, JobState, Outcome
from skipseg.service.jobs.tables import ATTEMPTS, DELIVERIES, JOBS, OUTCOMES

Enqueue = Callable[[Connection], None]


class Ledger:
    """Safe for threads and processes; every method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def add(self, job: Job, enqueue: Enqueue) -> Job:
        """Write a job down and queue it, in one commit; of two with one idempotency key the first is returned."""
        with self.engine.begin() as connection:
            values = self._insert(JOBS).values(**job.model_dump())
            if connection.execute(values.on_conflict_do_nothing().returning(JOBS.c.id)).first() is not None:
                enqueue(connection)
                return job
            found = connection.execute(sa.select(JOBS).where(JOBS.c.idempotency_key == job.idempotency_key)).one()
            return Job(**found._mapping)

    def job(self, id: str, owner: str | None = None) -> Job:
        """Raises ``JobUnknown``, also for one that is not this owner's."""
        with self.engine.connect() as connection:
            return self._job(connection, id, owner)

    def of_key(self, key: str) -> Job | None:
        """The job that was made under an idempotency key."""
        with self.engine.connect() as connection:
            row = connection.execute(sa.select(JOBS).where(JOBS.c.idempotency_key == key)).first()
        return None if row is None else Job(**row._mapping)

    def jobs(self, limit: int, before: float | None = None, owner: str | None = None) -> list[Job]:
        """The latest, newest first; ``before`` the time that the last of a former page was made."""
        query = sa.select(JOBS).order_by(JOBS.c.made.desc()).limit(limit)
        query = query if owner is None else query.where(JOBS.c.owner == owner)
        with self.engine.connect() as connection:
            rows = connection.execute(query if before is None else query.where(JOBS.c.made < before))
            return [Job(**row._mapping) for row in rows]

    def open_jobs(self) -> list[Job]:
        """Those that have not ended, oldest first."""
        with self.engine.connect() as connection:
            rows = connection.execute(sa.select(JOBS).where(JOBS.c.ended.is_(None)).order_by(JOBS.c.made))
            return [Job(**row._mapping) for row in rows]

    def counts(self, jobs: Sequence[str]) -> dict[str, Counts]:
        """How many items of each job are done, and have failed."""
        columns = (OUTCOMES.c.job, OUTCOMES.c.state)
        query = sa.select(*columns, sa.func.count()).where(OUTCOMES.c.job.in_(jobs)).group_by(*columns)
        found: dict[str, Counter[str]] = {job: Counter() for job in jobs}
        with self.engine.connect() as connection:
            for job, state, count in connection.execute(query):
                found[job][state] = count
        return {job: Counts(done=states["done"], failed=states["failed"]) for job, states in found.items()}

    def by_state(self) -> dict[str, int]:
        """How many jobs there are in each state."""
        recorded = sa.select(OUTCOMES.c.job).where(OUTCOMES.c.job == JOBS.c.id)
        has_done = recorded.where(OUTCOMES.c.state == "done").exists()
        state = sa.case(
            (JOBS.c.cancelled.is_(True), "cancelled"),
            (JOBS.c.ended.is_(None) & JOBS.c.started.is_(None), "queued"),
            (JOBS.c.ended.is_(None), "running"),
            (recorded.exists() & ~has_done, "failed"),
            else_="succeeded",
        )
        states = sa.select(state.label("state")).subquery()
        with self.engine.connect() as connection:
            rows = connection.execute(sa.select(states.c.state, sa.func.count()).group_by(states.c.state))
            found = {str(name): int(count) for name, count in rows}
        return {name: found.get(name, 0) for name in get_args(JobState)}

    def outcomes(self, job: str, item: int | None = None) -> list[Outcome]:
        """What is recorded, by item; of all items or of one."""
        query = sa.select(OUTCOMES).where(OUTCOMES.c.job == job).order_by(OUTCOMES.c.item)
        query = query if item is None else query.where(OUTCOMES.c.item == item)
        with self.engine.connect() as connection:
            return [_outcome(row) for row in connection.execute(query)]

    def left(self, job: str, items: Sequence[int]) -> dict[int, int | None]:
        """Those of some items that have no outcome: None, or if begun how often with nothing else beside them."""
        recorded = sa.select(OUTCOMES.c.item).where(OUTCOMES.c.job == job, OUTCOMES.c.item.in_(items))
        tried = sa.select(ATTEMPTS.c.item, ATTEMPTS.c.alone).where(ATTEMPTS.c.job == job, ATTEMPTS.c.item.in_(items))
        with self.engine.connect() as connection:
            done = set(connection.execute(recorded).scalars())
            alone = {row.item: row.alone for row in connection.execute(tried)}
        return {item: alone.get(item) for item in items if item not in done}

    def begun(self, job: str) -> set[int]:
        """Items that were tried, whatever came of it."""
        with self.engine.connect() as connection:
            return set(connection.execute(sa.select(ATTEMPTS.c.item).where(ATTEMPTS.c.job == job)).scalars())

    def suspects(self, job: str) -> dict[int, int]:
        """Items that were begun and have no outcome: how often with nothing else beside them."""
        recorded = sa.exists().where(OUTCOMES.c.job == ATTEMPTS.c.job, OUTCOMES.c.item == ATTEMPTS.c.item)
        query = sa.select(ATTEMPTS.c.item, ATTEMPTS.c.alone).where(ATTEMPTS.c.job == job, ~recorded)
        with self.engine.connect() as connection:
            return {row.item: row.alone for row in connection.execute(query)}

    def begin(self, job: str, items: Sequence[int], alone: bool) -> None:
        """Note that items are being tried."""
        now, once = time(), int(alone)
        if not items:
            return
        rows = [{"job": job, "item": item, "began": now, "times": 1, "alone": once} for item in items]
        statement = self._insert(ATTEMPTS)
        again = {
            "began": statement.excluded.began,
            "times": ATTEMPTS.c.times + 1,
            "alone": ATTEMPTS.c.alone + statement.excluded.alone,
        }
        with self.engine.begin() as connection:
            connection.execute(statement.on_conflict_do_update(index_elements=["job", "item"], set_=again), rows)
            connection.execute(sa.update(JOBS).where(JOBS.c.id == job, JOBS.c.started.is_(None)).values(started=now))

    def take_back(self, job: str, items: Iterable[int], alone: bool) -> None:
        """Items were begun, but what ended that was none of their doing."""
        mine = sa.and_(ATTEMPTS.c.job == job, ATTEMPTS.c.item.in_(list(items)))
        fewer = {"times": ATTEMPTS.c.times - 1, "alone": ATTEMPTS.c.alone - int(alone)}
        with self.engine.begin() as connection:
            connection.execute(sa.delete(ATTEMPTS).where(mine, ATTEMPTS.c.times <= 1))
            connection.execute(sa.update(ATTEMPTS).where(mine).values(**fewer))

    def record(
        self, job: str, outcome: Outcome, although_cancelled: bool = False, also: Enqueue = lambda connection: None
    ) -> bool:
        """Record what became of an item; False when that is recorded already, or the job was cancelled or deleted.

        ``also`` is part of the same commit, if something is recorded.
        """
        with self.engine.begin() as connection:
            cancelled = connection.execute(sa.select(JOBS.c.cancelled).where(JOBS.c.id == job)).scalar()
            if cancelled is None or (cancelled and not although_cancelled):
                return False
            values = self._insert(OUTCOMES).values(job=job, **outcome.model_dump())
            inserted = connection.execute(values.on_conflict_do_nothing().returning(OUTCOMES.c.item))
            if inserted.first() is None:
                return False
            also(connection)
            return True

    def forget_item(self, job: str, item: int) -> None:
        """As if it had never been tried."""
        with self.engine.begin() as connection:
            for table in (OUTCOMES, ATTEMPTS):
                connection.execute(sa.delete(table).where(table.c.job == job, table.c.item == item))

    def find(self, content: str) -> tuple[str, Outcome] | None:
        """A job that has segmented the same content in the same way, and what came of it."""
        query = sa.select(OUTCOMES).where(OUTCOMES.c.content == content, OUTCOMES.c.state == "done")
        with self.engine.connect() as connection:
            row = connection.execute(query.order_by(OUTCOMES.c.ended.desc()).limit(1)).first()
        return None if row is None else (row.job, _outcome(row))

    def end_if_done(self, job: str, tell: Callable[[Connection, Job], None] = lambda connection, job: None) -> bool:
        """Whether this call ended a job, since all its items have outcomes; ``tell`` is part of the same commit."""
        recorded = sa.select(sa.func.count()).where(OUTCOMES.c.job == job).scalar_subquery()
        with self.engine.begin() as connection:
            ended = sa.update(JOBS).where(JOBS.c.id == job, JOBS.c.ended.is_(None), JOBS.c.total == recorded)
            if not connection.execute(ended.values(ended=time())).rowcount:
                return False
            tell(connection, self._job(connection, job))
            return True

    def cancel(self, job: str, tell: Callable[[Connection, Job], None] = lambda connection, job: None) -> Job:
        """What is recorded stays; raises ``JobConflict`` when the job has ended otherwise.

        A training ends when its best so far has become a candidate, anything else at once.
        """
        with self.engine.begin() as connection:
            open_one = sa.update(JOBS).where(JOBS.c.id == job, JOBS.c.ended.is_(None))
            ended = sa.case((JOBS.c.kind == "train", sa.null()), else_=time())
            changed = connection.execute(open_one.values(cancelled=True, ended=ended)).rowcount
            found = self._job(connection, job)
            if changed and found.ended is not None:
                tell(connection, found)
        if not changed and not found.cancelled:
            raise JobConflict("the job has ended already, so there is nothing to cancel; its results are there")
        return found

    def cancelled(self, jobs: Sequence[str]) -> set[str]:
        """Which of some jobs were cancelled, or are not there any more."""
        query = sa.select(JOBS.c.id).where(JOBS.c.id.in_(jobs), JOBS.c.cancelled.is_(False))
        with self.engine.connect() as connection:
            return set(jobs) - set(connection.execute(query).scalars())

    def retry(self, job: str, enqueue: Callable[[Connection, Job, list[int]], None]) -> Job:
        """Forget what failed, and queue all without an outcome; raises ``JobConflict`` if there is none, or it runs."""
        with self.engine.begin() as connection:
            before = self._job(connection, job)
            ended = sa.update(JOBS).where(JOBS.c.id == job, JOBS.c.ended.is_not(None))
            anew = {"round": JOBS.c.round + 1, "ended": None, "cancelled": False}
            if not connection.execute(ended.values(**anew)).rowcount:  # of two at once, one
                raise JobConflict("the job is still running; wait until it has ended, or cancel it first")
            failed = sa.and_(OUTCOMES.c.job == job, OUTCOMES.c.state == "failed")
            connection.execute(sa.delete(OUTCOMES).where(failed))
            recorded = set(connection.execute(sa.select(OUTCOMES.c.item).where(OUTCOMES.c.job == job)).scalars())
            items = [item for item in range(before.total) if item not in recorded]
            if not items:
                raise JobConflict("no item of this job has failed, so there is nothing to do again")
            connection.execute(sa.delete(ATTEMPTS).where(ATTEMPTS.c.job == job, ATTEMPTS.c.item.not_in(recorded)))
            again = self._job(connection, job)
            enqueue(connection, again, items)
            return again

    def requeue(self, job: str, enqueue: Callable[[Connection, Job, list[int]], None]) -> None:
        """Queue what has no outcome once more, for an open job that the queue has lost."""
        with self.engine.begin() as connection:
            open_one = sa.update(JOBS).where(JOBS.c.id == job, JOBS.c.ended.is_(None))
            if connection.execute(open_one.values(round=JOBS.c.round + 1)).rowcount:
                found = self._job(connection, job)
                recorded = set(connection.execute(sa.select(OUTCOMES.c.item).where(OUTCOMES.c.job == job)).scalars())
                enqueue(connection, found, [item for item in range(found.total) if item not in recorded])

    def forget(self, job: str) -> bool:
        """Delete everything about a job that has ended; False for one that has not, or is gone already."""
        with self.engine.begin() as connection:
            ended = sa.delete(JOBS).where(JOBS.c.id == job, JOBS.c.ended.is_not(None))
            if not connection.execute(ended).rowcount:
                return False
            for table in (OUTCOMES, ATTEMPTS, DELIVERIES):
                connection.execute(sa.delete(table).where(table.c.job == job))
            return True

    def _job(self, connection: Connection, id: str, owner: str | None = None) -> Job:
        query = sa.select(JOBS).where(JOBS.c.id == id)
        row = connection.execute(query if owner is None else query.where(JOBS.c.owner == owner)).first()
        if row is None:
            raise JobUnknown("there is no such job; jobs and their results are deleted some days after they ended")
        return Job(**row._mapping)

    def _insert(self, table: sa.Table) -> postgresql.Insert | sqlite.Insert:
        return postgresql.insert(table) if self.engine.dialect.name == "postgresql" else sqlite.insert(table)


def _outcome(row: sa.Row[Any]) -> Outcome:
    return Outcome(**{name: value for name, value in row._mapping.items() if name != "job"})
