"""The delivery of an item's results, ordered in the commit that records its outcome: no outcome without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from skipseg.service.jobs.deliveries import NO_DICOM, Deliveries
from skipseg.service.jobs.queue import Queue

NOTHING_TO_SEND = "the scan is not DICOM, so there is no study that a segmentation and a report could belong to"


@dataclass(frozen=True)
class Ship:
    deliveries: Deliveries
    queue: Queue

    def __call__(self, job: str, item: int, node: str, can_be_sent: bool) -> Callable[[Connection], None]:
        """What orders it."""

        def order(connection: Connection) -> None:
            if not can_be_sent:
                why = {"code": NO_DICOM, "problem": NOTHING_TO_SEND}
                return self.deliveries.add(connection, job, item, node, "given_up", **why)
            self.deliveries.add(connection, job, item, node, "pending")
            return self.queue.deliver(connection, job, item, tries=0)

        return order
