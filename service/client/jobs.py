"""Jobs of a server: ``client.jobs``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from skipseg.client.answers import Item, ItemList, Job, JobList
from skipseg.client.errors import Busy, Unreachable
from skipseg.client.events import SILENCE_S, jobs_in
from skipseg.client.results import save_results
from skipseg.client.transport import Transport, pause

PAGE = 1000  # items asked for at once

JobOrId = Job | str


class Jobs:
    """Every method takes a job or its id, and raises ``Problem`` and ``Unreachable``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def submit(
        self, inputs: Mapping[str, Any], model: str | None = None, *, key: str | None = None, **options: Any
    ) -> Job:
        """Have many scans segmented: when this returns, the server will do it, whatever happens meanwhile.

        ``inputs`` is one of ``{"upload": id}``, ``{"uploads": [id, ...]}``, ``{"folder": path}``, ``{"files": [path,
        ...]}`` and ``{"dicomweb": {"study": uid}}``; ``options`` are those of ``POST /v1/jobs``, such as
        ``format="nrrd"``. However often this must be sent, it makes one job; ``key``, an Idempotency-Key of yours,
        extends that to later calls.
        """
        given = {name: value for name, value in options.items() if value is not None}
        order = {"kind": "segment", "model": model, "inputs": dict(inputs), **given}
        headers = {"Idempotency-Key": key or uuid4().hex}
        answer = self._transport.ask("POST", "/v1/jobs", json=order, headers=headers)
        return Job.model_validate_json(answer.content)

    def get(self, job: JobOrId) -> Job:
        """Where a job stands."""
        return Job.model_validate_json(self._transport.ask("GET", _path(job)).content)

    def list(self, limit: int = 100) -> Sequence[Job]:
        """The latest jobs, newest first."""
        answer = self._transport.ask("GET", "/v1/jobs", params={"limit": limit})
        return JobList.model_validate_json(answer.content).jobs

    def wait(self, job: JobOrId, progress: Callable[[Job], None] | None = None) -> Job:
        """The job, once it has ended; ``progress`` is called whenever it changes.

        A connection that breaks off is made again; ``Unreachable`` or ``Busy`` only when as many tries as ``retries``
        in a row brought no news.
        """
        tried, id = 0, _id(job)
        while True:
            try:
                for event, now in self._events(id):
                    tried = 0
                    if progress is not None:
                        progress(now)
                    if event == "end":
                        return now
            except (Unreachable, Busy):
                if tried >= self._transport.retries:
                    raise
            self.get(id)  # raises for a job that was deleted, whose events just cease
            time.sleep(pause(tried))
            tried += 1

    def items(self, job: JobOrId) -> Iterator[Item]:
        """What became of each scan, in their order."""
        start, total = 0, 1
        while start < total:
            answer = self._transport.ask("GET", f"{_path(job)}/items", params={"start": start, "limit": PAGE})
            page = ItemList.model_validate_json(answer.content)
            yield from page.items
            start, total = start + max(len(page.items), 1), page.total

    def mask(self, job: JobOrId, item: int) -> bytes:
        """The mask of one scan; ``Conflict`` while, or because, there is none."""
        return self._transport.ask("GET", f"{_path(job)}/items/{item}/mask").content

    def download(self, job: JobOrId, to: Path | str) -> Sequence[Path]:
        """Write the masks so far below a folder, under the names of their scans, and ``results.csv``.

        Gives the masks' paths. Raises ``Damaged`` when a mask is not the one that the server announced, with none of
        them written; ``OSError`` when ``to`` cannot be written.
        """
        ended, tried = self.get(job).ended is not None, 0
        while True:
            try:
                with self._transport.stream(f"{_path(job)}/results.zip") as answer:
                    return save_results(answer.iter_bytes(), Path(to), whole=ended)
            except (Unreachable, Busy):
                if tried >= self._transport.retries:
                    raise
            time.sleep(pause(tried))
            tried += 1

    def cancel(self, job: JobOrId) -> Job:
        """End a job; what is done stays. ``Conflict`` when it has ended otherwise."""
        return Job.model_validate_json(self._transport.ask("POST", f"{_path(job)}/cancel").content)

    def retry(self, job: JobOrId) -> Job:
        """Do again what failed, or what a cancelled job left; ``Conflict`` when there is none, or it is running."""
        answer = self._transport.ask("POST", f"{_path(job)}/retry", repeatable=False)
        return Job.model_validate_json(answer.content)

    def delete(self, job: JobOrId) -> None:
        """Delete a job that has ended, with its results; ``Conflict`` while it runs."""
        self._transport.ask("DELETE", _path(job), repeatable=False)

    def _events(self, id: str) -> Iterator[tuple[str, Job]]:
        with self._transport.stream(f"/v1/jobs/{id}/events", SILENCE_S) as answer:
            yield from jobs_in(answer.iter_lines())


def _id(job: JobOrId) -> str:
    return job if isinstance(job, str) else job.id


def _path(job: JobOrId) -> str:
    return f"/v1/jobs/{_id(job)}"
