"""Work that outlives its request."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from starlette.responses import StreamingResponse

from skipseg.service.jobs import answers
from skipseg.service.jobs.answers import ItemPage, JobAnswer, JobPage
from skipseg.service.jobs.events import EVENTS, EXAMPLE, events_of
from skipseg.service.jobs.orders import JobOrder, TrainJobOrder
from skipseg.service.jobs.packing import rows_of, zipped
from skipseg.service.jobs.records import Job
from skipseg.service.keys.access import caller_of, check_scope, needs
from skipseg.service.problems import documented
from skipseg.service.state import ServerDep

router = APIRouter(prefix="/v1", tags=["jobs"])
LOOK, WORK = [needs("read", "segment", "train")], [needs("segment", "train")]

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=100,
        pattern=r"^[\x21-\x7e]+$",
        description="the same key gives the same job, however often it is sent",
    ),
]


def _owner(request: Request) -> str | None:
    """Whose jobs a caller sees: its own; everybody's (None) with ``admin``."""
    caller = caller_of(request.scope)
    return None if caller.may("admin") else caller.id


def _own(id: str, request: Request, server: ServerDep) -> Job:
    """A job that the caller may see; of others' nobody learns that they are there."""
    return server.jobs.ledger.job(id, _owner(request))


OwnJob = Annotated[Job, Depends(_own)]


def _changeable(job: OwnJob, request: Request) -> Job:
    """Who may not order a kind of job may not end one either."""
    check_scope(caller_of(request.scope), job.kind)
    return job


ChangeableJob = Annotated[Job, Depends(_changeable)]


def _file(media_type: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {media_type: {"schema": {"type": "string", "format": "binary"}}}}}


@router.post(
    "/jobs",
    status_code=202,
    dependencies=WORK,
    summary="Segment many scans, or train; it will be done, whatever dies meanwhile",
    responses=documented(400, 404, 409, 413, 422, 503),
)
def make_job(
    order: JobOrder, request: Request, server: ServerDep, response: Response, idempotency_key: IdempotencyKey = None
) -> JobAnswer:
    caller = caller_of(request.scope)
    check_scope(caller, order.kind)
    if isinstance(order, TrainJobOrder):
        job = server.jobs.submit_training(order, caller.id, idempotency_key)
    else:
        job = server.jobs.submit(order, server.models.pick(order.model), caller.id, idempotency_key)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return answers.job(server.jobs.ledger, server.jobs.folders, job)


@router.get("/jobs", dependencies=LOOK, summary="Your jobs, the newest first", responses=documented(422, 503))
def list_jobs(
    request: Request,
    server: ServerDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[float | None, Query(description="`made` of the last job of the page before")] = None,
) -> JobPage:
    found = server.jobs.ledger.jobs(limit, before, _owner(request))
    return answers.jobs(server.jobs.ledger, server.jobs.folders, found)


@router.get("/jobs/{id}", dependencies=LOOK, summary="Where a job stands", responses=documented(404, 422, 503))
def show_job(job: OwnJob, server: ServerDep) -> JobAnswer:
    return answers.job(server.jobs.ledger, server.jobs.folders, job)


@router.get(
    "/jobs/{id}/items",
    dependencies=[needs("segment")],
    summary="What became of each scan",
    responses=documented(404, 409, 422, 503),
)
def list_items(
    job: OwnJob,
    server: ServerDep,
    start: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
) -> ItemPage:
    return answers.items(server.jobs.ledger, server.jobs.folders, job, start, limit)


@router.get(
    "/jobs/{id}/items/{item}/mask",
    dependencies=[needs("segment")],
    summary="The mask of one scan",
    response_class=Response,
    responses={**_file("application/octet-stream"), **documented(404, 409, 422, 503)},
)
def show_mask(job: OwnJob, item: int, server: ServerDep) -> Response:
    content, media_type = answers.mask(server.jobs.ledger, server.jobs.folders, job, item)
    return Response(content, media_type=media_type)


@router.get(
    "/jobs/{id}/events",
    dependencies=LOOK,
    summary="Progress as server-sent events, until the job has ended",
    response_class=StreamingResponse,
    responses={
        200: {"description": EVENTS, "content": {"text/event-stream": {"example": EXAMPLE}}},
        **documented(404, 422, 503),
    },
)
async def job_events(job: OwnJob, server: ServerDep) -> StreamingResponse:
    return StreamingResponse(events_of(server.jobs.ledger, server.jobs.folders, job.id), media_type="text/event-stream")


@router.get(
    "/jobs/{id}/results.csv",
    dependencies=[needs("segment")],
    summary="A row a scan, those that are done so far",
    response_class=StreamingResponse,
    responses={**_file("text/csv"), **documented(404, 409, 422, 503)},
)
def results_csv(job: OwnJob, server: ServerDep) -> StreamingResponse:
    return StreamingResponse(rows_of(server.jobs.ledger, server.jobs.folders, job), media_type="text/csv")


@router.get(
    "/jobs/{id}/results.zip",
    dependencies=[needs("segment")],
    summary="The masks so far, under the names of their scans, and results.csv",
    response_class=StreamingResponse,
    responses={**_file("application/zip"), **documented(404, 409, 422, 503)},
)
def results_zip(job: OwnJob, server: ServerDep) -> StreamingResponse:
    headers = {"Content-Disposition": f'attachment; filename="{job.id}.zip"'}
    content = zipped(server.jobs.ledger, server.jobs.folders, job)
    return StreamingResponse(content, media_type="application/zip", headers=headers)


@router.post(
    "/jobs/{id}/cancel",
    dependencies=WORK,
    summary="End a job; what is done stays",
    responses=documented(404, 409, 422, 503),
)
def cancel_job(job: ChangeableJob, server: ServerDep) -> JobAnswer:
    return answers.job(server.jobs.ledger, server.jobs.folders, server.jobs.cancel(job.id))


@router.post(
    "/jobs/{id}/retry",
    dependencies=WORK,
    status_code=202,
    summary="Do again what failed, or what a cancelled job left",
    responses=documented(404, 409, 422, 503),
)
def retry_job(job: ChangeableJob, server: ServerDep) -> JobAnswer:
    return answers.job(server.jobs.ledger, server.jobs.folders, server.jobs.retry(job.id))


@router.delete(
    "/jobs/{id}",
    dependencies=WORK,
    status_code=204,
    summary="Delete an ended job",
    responses=documented(404, 409, 422, 503),
)
def delete_job(job: ChangeableJob, server: ServerDep) -> None:
    server.jobs.remove(job.id)
