"""The results of one item, brought to their node: tried again for days, and never there twice.

A file is sent as often as it takes until the node says that it has it; every time it has the same UIDs, and where the
node can be asked (DICOMweb) it is asked first.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import Any

from skipseg.models.errors import SkipsegError, UsageError
from skipseg.service.dicom.dimse import store
from skipseg.service.dicom.instances import instance_in
from skipseg.service.dicom.nodes import Node, WebNode, node_named
from skipseg.service.dicom.web import WebClient
from skipseg.service.jobs.deliveries import Deliveries, Delivery, DeliveryState
from skipseg.service.jobs.ledger import Ledger
from skipseg.service.jobs.patience import until_it_answers
from skipseg.service.jobs.queue import Queue
from skipseg.service.jobs.results import ItemResult, JobFolders
from skipseg.service.observing.logs import NAME, without_message
from skipseg.service.refusals import NodeAway, NodeRefused, SeriesUnknown

log = logging.getLogger(NAME)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 2.0, 1800.0


@dataclass(frozen=True)
class Delivering:
    """Brings results to nodes, in one worker; ``hours`` is how long each is tried."""

    nodes: Mapping[str, Node]
    calling: str  # our AE title
    hours: float
    ledger: Ledger
    folders: JobFolders
    deliveries: Deliveries
    queue: Queue

    def run(self, job: str, item: int) -> None:
        """One try; what it comes to is written down, and the next one queued in the same commit. Raises nothing."""
        found = until_it_answers(lambda: self.deliveries.of(job, item))
        if found is None or found.state != "pending":  # the job was deleted, or somebody was quicker
            return
        try:
            for file in self._files(found):
                self._send(found.node, file)
        except (NodeAway, NodeRefused, SeriesUnknown, UsageError) as error:
            return self._put_off(found, error)
        except Exception as error:  # noqa: BLE001 - an error of ours: it must be told, and not tried for days
            log.error("delivery failed", extra={"fields": {**_about(found), **without_message(error)}})
            gone = isinstance(error, FileNotFoundError)
            words = "the results are not on the disk any more" if gone else f"skipseg failed ({type(error).__name__})"
            return self._settle(found, "given_up", code="result_gone" if gone else "internal", problem=words)
        log.info("delivered", extra={"fields": _about(found)})
        return self._settle(found, "sent", code=None, problem=None)

    def _files(self, delivery: Delivery) -> list[Path]:
        outcome = until_it_answers(lambda: self.ledger.outcomes(delivery.job, delivery.item))[0]
        names = ItemResult.model_validate_json(outcome.result).sends
        return [self.folders.mask(delivery.job, name) for name in names]

    def _send(self, name: str, file: Path) -> None:
        node = node_named(self.nodes, name)
        if not isinstance(node, WebNode):
            return store(node, self.calling, file)
        with WebClient(node) as client:
            there = False
            with suppress(NodeRefused, SeriesUnknown):  # it takes files and no questions: then it is sent
                there = client.has(instance_in(file))
            return None if there else client.store(file)

    def _put_off(self, delivery: Delivery, error: SkipsegError) -> None:
        """The node may be mended, whatever it said: try again, less and less often, until the time is over."""
        waited = time() - delivery.began
        pause = min(max(FIRST_PAUSE_S, waited / 2), LONGEST_PAUSE_S)
        if isinstance(error, NodeAway):
            pause = min(max(pause, error.retry_after_s), LONGEST_PAUSE_S)
        told: dict[str, Any] = {"code": error.code, "problem": str(error), "tries": delivery.tries + 1}
        if waited + pause > self.hours * 3600:
            log.error("delivery given up", extra={"fields": {**_about(delivery), "code": error.code}})
            return self._settle(delivery, "given_up", **told)
        log.warning("delivery put off", extra={"fields": {**_about(delivery), "code": error.code, "again_in_s": pause}})
        return self._settle(delivery, "pending", again_in_s=pause, **told)

    def _settle(self, delivery: Delivery, state: DeliveryState, again_in_s: float | None = None, **told: Any) -> None:
        def settle() -> None:
            with self.deliveries.engine.begin() as connection:
                self.deliveries.settle(connection, delivery, state, **told)
                if again_in_s is not None:
                    self.queue.deliver(connection, delivery.job, delivery.item, told["tries"], again_in_s)

        until_it_answers(settle)


def _about(delivery: Delivery) -> dict[str, object]:
    return {"job": delivery.job, "item": delivery.item, "node": delivery.node}
