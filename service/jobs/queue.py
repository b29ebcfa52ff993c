"""The durable queue, which is DBOS's: portions of jobs wait there for a worker, and go back when one dies."""

from __future__ import annotations

from collections.abc import Sequence

from dbos import DBOSClient, DBOSPortableJSONSerializer, EnqueueOptions
from sqlalchemy.engine import Connection

from skipseg.service.jobs.records import Job

APPLICATION = "skipseg"
VERSION = "1"  # of what a queued portion means; workers take those of their own alone
SEGMENT, TRAIN, TELL = "segment", "train", "tell"  # queues, and the workflows in them
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

    def tell(self, connection: Connection, job: Job) -> None:
        """That this round of a job has ended."""
        options = EnqueueOptions(
            queue_name=TELL, workflow_name=TELL, workflow_id=f"{job.id}/{job.round}/told", app_version=VERSION
        )
        self._client.enqueue_in_transaction(connection, options, job.id)

    def holds(self, job: str) -> bool:
        """Whether portions of a job wait, or are in some worker's hand."""
        states = ["ENQUEUED", "PENDING", "DELAYED"]
        found = self._client.list_workflows(
            workflow_id_prefix=f"{job}/", status=states, limit=1, load_input=False, load_output=False
        )
        return bool(found)

    def has_messages(self) -> bool:
        """Whether somebody is still to be told of a job's end."""
        states = ["ENQUEUED", "PENDING", "DELAYED"]
        found = self._client.list_workflows(name=TELL, status=states, limit=1, load_input=False, load_output=False)
        return bool(found)

    def forget(self, job: str) -> None:
        """Delete what the queue still knows of a job that has ended."""
        found = self._client.list_workflows(workflow_id_prefix=f"{job}/", load_input=False, load_output=False)
        if found:
            self._client.delete_workflows([workflow.workflow_id for workflow in found])

    def close(self) -> None:
        self._client.destroy()
