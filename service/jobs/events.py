"""Server-sent events of a job (WHATWG HTML, 9.2)."""

from __future__ import annotations

from collections.abc import AsyncIterator

from anyio import sleep, to_thread

from skipseg.models.errors import JobUnknown
from skipseg.service.jobs import answers
from skipseg.service.jobs.ledger import Ledger
from skipseg.service.jobs.results import JobFolders

EVENTS = "`event: progress` with the job as `data` whenever it changes; `event: end` with the job once it has ended"
EXAMPLE = 'event: end\ndata: {"id": "0b5c8a7f2e914d0c9d3a6c1e5f7b2a48", "state": "succeeded", ...}\n\n'
LOOK_S = 0.5
COMMENT_EVERY = 30  # looks without news, so that proxies keep the connection


async def events_of(ledger: Ledger, folders: JobFolders, id: str) -> AsyncIterator[str]:
    """What happens to a job from now on; ends with it."""
    told, quiet = "", 0
    while True:
        try:
            job = await to_thread.run_sync(lambda: answers.job(ledger, folders, ledger.job(id)))
        except JobUnknown:
            return
        news = job.model_dump_json(exclude={"eta_s"})
        ended = job.ended is not None
        if ended or news != told:
            told, quiet = news, 0
            yield f"event: {'end' if ended else 'progress'}\ndata: {job.model_dump_json()}\n\n"
        elif (quiet := quiet + 1) % COMMENT_EVERY == 0:
            yield ": still here\n\n"
        if ended:
            return
        await sleep(LOOK_S)
