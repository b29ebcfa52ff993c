"""Who works: a row a worker, kept fresh while it lives, so that others take over what a dead one had in hand."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic, time

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from skipseg.service.jobs.tables import WORKERS

BEAT_S = 2.0
DEAD_AFTER_S = 12.0  # without a beat; its work is then given to others, who finish it within half a minute of its end
BURIED_S = 600.0  # a row stays as long: one that was taken for dead may have taken work before it noticed
BURIED, LEFT = -1.0, 0.0  # in place of the time of a beat


class Roster:
    """The workers that are alive, as one of them sees it.

    A worker is dead when its beats have not changed while this one's own went through without a gap: clocks of several
    machines are not compared, and after the database was away nobody is buried for the beats that could not be told.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._seen: dict[str, tuple[float, float]] = {}  # each worker's last beat, and when it was first looked at
        self._beaten: float | None = None  # when our own beat went through last

    def enter(self, worker: str, device: str) -> None:
        """Begin to work."""
        with self.engine.begin() as connection:
            connection.execute(sa.insert(WORKERS).values(id=worker, device=device, seen=time()))

    def beat(self, worker: str) -> bool:
        """Still alive; False for one that was taken for dead, which must end, since others do its work."""
        with self.engine.begin() as connection:
            mine = sa.update(WORKERS).where(WORKERS.c.id == worker, WORKERS.c.seen > LEFT)
            alive = bool(connection.execute(mine.values(seen=time())).rowcount)
        now = monotonic()
        if self._beaten is None or now - self._beaten > DEAD_AFTER_S / 2:
            self._seen.clear()  # there was a gap: everybody is looked at anew
        self._beaten = now
        return alive

    def bury(self, take_over: Callable[[str], object]) -> list[str]:
        """Mark those as dead whose beats have stopped, or who said that they leave; gives their names.

        ``take_over`` is called for each, and again for a while for what it may have taken before it noticed.
        """
        with self.engine.connect() as connection:
            rows = {row.id: row.seen for row in connection.execute(sa.select(WORKERS.c.id, WORKERS.c.seen))}
        dead = [worker for worker, seen in rows.items() if seen != BURIED and self._is_dead(worker, seen)]
        for worker in (*dead, *(worker for worker, seen in rows.items() if seen == BURIED)):
            if worker in dead:
                self._mark(worker)
            take_over(worker)
            if worker not in dead and self._has_rested(worker):
                self._forget(worker)
        return dead

    def leave(self, worker: str) -> None:
        """Be taken for dead at once."""
        with self.engine.begin() as connection:
            connection.execute(sa.update(WORKERS).where(WORKERS.c.id == worker).values(seen=LEFT))

    def _is_dead(self, worker: str, seen: float) -> bool:
        if seen == LEFT:
            return True
        before, since = self._seen.get(worker, (None, 0.0))
        if before != seen:
            self._seen[worker] = (seen, monotonic())
            return False
        return monotonic() - since > DEAD_AFTER_S

    def _mark(self, worker: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.update(WORKERS).where(WORKERS.c.id == worker).values(seen=BURIED))
        self._seen[worker] = (BURIED, monotonic())

    def _has_rested(self, worker: str) -> bool:
        _, since = self._seen.setdefault(worker, (BURIED, monotonic()))
        return monotonic() - since > BURIED_S

    def _forget(self, worker: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.delete(WORKERS).where(WORKERS.c.id == worker))
        self._seen.pop(worker, None)


def beats(engine: Engine) -> dict[str, float]:
    """The last beat of each worker that has not said that it leaves; two calls tell who is alive."""
    alive = sa.select(WORKERS.c.id, WORKERS.c.seen).where(WORKERS.c.seen > LEFT)
    with engine.connect() as connection:
        return {row.id: row.seen for row in connection.execute(alive)}
