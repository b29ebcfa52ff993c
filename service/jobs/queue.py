"""The durable queue, which is DBOS's: portions of jobs wait there for a worker, and go back when one dies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from time import time

from dbos import DBOSClient, DBOSPortableJSONSerializer, EnqueueOptions
from sqlalchemy.engine import Connection

from skipseg.service.jobs.records import Job

APPLICATION = "skipseg"
VERSION = "1"  # of what a queued portion means; workers take those of their own alone
SEGMENT, TRAIN, TELL = "segment", "train", "tell"  # queues, and the workflows in them
FETCH, DELIVER = "fetch", "deliver"  # likewise, with DICOM nodes: whoever waits for one takes no place of the others
SERIALIZER = DBOSPortableJSONSerializer()  # DBOS's own choice is pickle

PORTION = 16  # scans: enough to keep a device busy, few enough to share among workers


class Queue:
    """Puts portions into the queue, in the transaction of the caller."""

    def __init__(self, url: str) -> None:
        self._client = DBOSClient(
            system_database_url=url, serializer=SERIALIZER, application_name=APPLICATION, lazy=True
        )

    def put(self, connection: Connection, job: Job, items: Sequence[int]) -> None:
        """All of these items of a job; the same round of a job is queued once."""
        if json.loads(job.order).get("fetch", False):
            return self.fetch(connection, job.id, job.round, items, tries=0, since=time(), pause=0.0)
        for number, start in enumerate(range(0, len(items), PORTION)):
            options = EnqueueOptions(
                queue_name=job.kind,
                workflow_name=job.kind,
                workflow_id=f"{job.id}/{job.round}/{number}",
                app_version=VERSION,
                priority=job.priority,
            )
            self._client.enqueue_in_transaction(
                connection, options, job.id, job.round, list(items[start : start + PORTION])
            )

    def fetch(
        self, connection: Connection, job: str, round: int, items: Sequence[int], tries: int, since: float, pause: float
    ) -> None:
        """These items come from a node: ``tries`` have failed so far, the first at ``since``; wait for ``pause``."""
        options = _options(FETCH, f"{job}/{round}/fetch-{tries}", pause)
        self._client.enqueue_in_transaction(connection, options, job, round, list(items), tries, since)

    def deliver(self, connection: Connection, job: str, item: int, tries: int, pause: float = 0.0) -> None:
        """The results of an item are to be sent, after a pause in seconds; ``tries`` have failed so far."""
        options = _options(DELIVER, f"{DELIVER}/{job}/{item}/{tries}", pause)
        self._client.enqueue_in_transaction(connection, options, job, item)

    def tell(self, connection: Connection, job: Job) -> None:
        """That this round of a job has ended."""
        options = EnqueueOptions(
            queue_name=TELL, workflow_name=TELL, workflow_id=f"{job.id}/{job.round}/told", app_version=VERSION
        )
        self._client.enqueue_in_transaction(connection, options, job.id)

    def holds(self, job: str) -> bool:
        """Whether portions of a job wait, or are in some worker's hand."""
        return self._has(f"{job}/")

    def holds_delivery(self, job: str, item: int) -> bool:
        """Whether the results of an item wait to be sent, or are on their way."""
        return self._has(f"{DELIVER}/{job}/{item}/")

    def has_messages(self) -> bool:
        """Whether somebody is still to be told of a job's end."""
        return self._has(None, TELL)

    def forget(self, job: str) -> None:
        """Delete what the queue still knows of a job that has ended, and of what is to be sent of it."""
        for prefix in (f"{job}/", f"{DELIVER}/{job}/"):
            found = self._client.list_workflows(workflow_id_prefix=prefix, load_input=False, load_output=False)
            if found:
                self._client.delete_workflows([workflow.workflow_id for workflow in found])

    def close(self) -> None:
        self._client.destroy()

    def _has(self, prefix: str | None, name: str | None = None) -> bool:
        found = self._client.list_workflows(
            workflow_id_prefix=prefix,
            name=name,
            status=["ENQUEUED", "PENDING", "DELAYED"],
            limit=1,
            load_input=False,
            load_output=False,
        )
        return bool(found)


def _options(queue: str, id: str, pause: float) -> EnqueueOptions:
    options = EnqueueOptions(queue_name=queue, workflow_name=queue, workflow_id=id, app_version=VERSION)
    return EnqueueOptions(**options, delay_seconds=pause) if pause else options
