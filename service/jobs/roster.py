"""Who works: a row a worker, kept fresh while it lives, so that others take over what a dead one had in hand."""

from __future__ import annotations

from collections.abc import Callable
from time import time

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from skipseg.service.jobs.tables import WORKERS

BEAT_S = 2.0
DEAD_AFTER_S = 12.0  # without a beat; its work is then given to others, who finish it within half a minute of its end


class Roster:
    """The workers that are alive."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def enter(self, worker: str, device: str) -> None:
        """Begin to work."""
        with self.engine.begin() as connection:
            connection.execute(sa.insert(WORKERS).values(id=worker, device=device, seen=time()))

    def beat(self, worker: str) -> bool:
        """Still alive; False for one that was taken for dead, which must end, since others do its work."""
        with self.engine.begin() as connection:
            mine = sa.update(WORKERS).where(WORKERS.c.id == worker)
            return bool(connection.execute(mine.values(seen=time())).rowcount)

    def bury(self, take_over: Callable[[str], object], dead: str | None = None) -> list[str]:
        """Strike off those that have not been seen for long, or the one that is known to be ``dead``.

        ``take_over`` is called for each before its row goes: were it the other way round, a death in between would
        leave its work to nobody.
        """
        late = WORKERS.c.seen < time() - DEAD_AFTER_S if dead is None else WORKERS.c.id == dead
        with self.engine.connect() as connection:
            found = list(connection.execute(sa.select(WORKERS.c.id).where(late)).scalars())
        for worker in found:
            take_over(worker)
            with self.engine.begin() as connection:
                connection.execute(sa.delete(WORKERS).where(WORKERS.c.id == worker))
        return found

    def leave(self, worker: str) -> None:
        """Be taken for dead at once."""
        with self.engine.begin() as connection:
            connection.execute(sa.update(WORKERS).where(WORKERS.c.id == worker).values(seen=0.0))

    def alive(self) -> dict[str, str]:
        """Workers and their devices."""
        with self.engine.connect() as connection:
            fresh = sa.select(WORKERS.c.id, WORKERS.c.device).where(WORKERS.c.seen >= time() - DEAD_AFTER_S)
            return {row.id: row.device for row in connection.execute(fresh)}
