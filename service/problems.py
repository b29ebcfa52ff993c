"""The one table from errors to HTTP statuses and exit codes, and the problem documents of RFC 9457."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from skipseg.models import errors
from skipseg.service import refusals
from skipseg.service.examples import problem_example
from skipseg.service.observing.record import record_of
from skipseg.service.schemas import Problem

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class Answer:
    """How one class of error is told: over HTTP, and by the command line."""

    status: int
    title: str
    exit_code: int = 1


ANSWERS: Mapping[type[errors.SkipsegError], Answer] = {
    errors.UsageError: Answer(422, "The request was put wrongly", exit_code=2),
    errors.ScanCorrupt: Answer(400, "The scan is not what its format claims"),
    errors.ScanFormatUnknown: Answer(415, "The scan has a format that is not read"),
    errors.ScanTooLarge: Answer(413, "The scan is over a limit"),
    errors.ScanUnusable: Answer(422, "The scan is readable but cannot be segmented"),
    errors.ScanError: Answer(422, "The scan cannot be used"),
    errors.DatasetError: Answer(422, "The dataset cannot be used"),
    errors.DatasetUnknown: Answer(404, "There is no such dataset"),
    errors.DatasetConflict: Answer(409, "The dataset's state forbids this"),
    errors.TrainingFailed: Answer(422, "The training did not succeed"),
    errors.PlanError: Answer(422, "The plan contradicts itself or its data"),
    errors.BundleError: Answer(422, "The bundle cannot be used"),
    errors.ModelUnknown: Answer(404, "There is no such model"),
    errors.ModelConflict: Answer(409, "The registry's state forbids this"),
    errors.UploadUnknown: Answer(404, "There is no such upload"),
    errors.JobUnknown: Answer(404, "There is no such job"),
    errors.JobConflict: Answer(409, "The job's state forbids this"),
    errors.NotReady: Answer(503, "Nothing is loaded that could answer"),
    errors.QueueFull: Answer(429, "Too many scans are waiting"),
    refusals.Unauthorized: Answer(401, "A key is needed"),
    refusals.Forbidden: Answer(403, "The key does not reach so far"),
    refusals.TooManyRequests: Answer(429, "This key asks for too much"),
    refusals.KeysUnreadable: Answer(503, "The keys cannot be read"),
    refusals.IssuerUnreachable: Answer(503, "The issuer of tokens does not answer"),
    refusals.KeyUnknown: Answer(404, "There is no such key"),
    refusals.DiskFull: Answer(507, "The disk is full"),
    refusals.NodeAway: Answer(503, "The DICOM node does not answer"),
    refusals.NodeRefused: Answer(502, "The DICOM node refuses"),
    refusals.SeriesUnknown: Answer(404, "The DICOM node has no such series"),
    errors.SkipsegError: Answer(422, "The request cannot be answered"),
}

CODES = {
    HTTPStatus.BAD_REQUEST: "bad_request",
    HTTPStatus.FORBIDDEN: "forbidden",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.NOT_ACCEPTABLE: "not_acceptable",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "unsupported_media_type",
}

REMEDIES = {
    HTTPStatus.NOT_FOUND: "there is nothing at this path; /docs lists what there is",
    HTTPStatus.METHOD_NOT_ALLOWED: "this path does not take that method; the header Allow says which it takes",
}
CLIENT_GONE = 499
DATABASE_BACK_S = 5  # a guess, for clients that ask when to come again


def answer_for(error: errors.SkipsegError) -> Answer:
    """The table's row for an error: that of its class or of the nearest base."""
    return next(ANSWERS[kind] for kind in type(error).__mro__ if kind in ANSWERS)


def problem(
    request: Request,
    status: int,
    title: str,
    detail: str,
    code: str,
    headers: Mapping[str, str] | None = None,
    more: Mapping[str, object] | None = None,
) -> Response:
    """A problem document as a response, with ``more`` members; the code also goes into the request's log line."""
    record = record_of(request.scope)
    record.code = code
    document = Problem(title=title, status=status, detail=detail, code=code, request_id=record.id)
    content = json.dumps({**document.model_dump(), **(more or {})})
    return Response(content, status, dict(headers or {}), MEDIA_TYPE)


def internal_problem(request: Request) -> Response:
    """What a client learns of an error of ours: nothing but where to find it in the log."""
    detail = (
        "The server failed in a way that is not the request's fault; its log has the details under this request_id."
    )
    return problem(request, 500, "Internal server error", detail, "internal")


def register(app: FastAPI) -> None:
    """Make every error of the app a problem document."""
    app.add_exception_handler(errors.SkipsegError, _answered)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _plain)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(OperationalError, _database_away)
    app.add_exception_handler(PoolTimeout, _database_away)


def documented(*statuses: int) -> dict[int | str, dict[str, object]]:
    """The ``responses`` of a route that may answer with these problems."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": schema, "example": problem_example(status)}},
        }
        for status in statuses
    }


def told(request: Request, error: errors.SkipsegError) -> Response:
    """The response to an error, as the table has it."""
    answer = answer_for(error)
    return problem(request, answer.status, answer.title, str(error), error.code, _headers(error), error.extension())


def _headers(error: errors.SkipsegError) -> Mapping[str, str]:
    if isinstance(error, errors.QueueFull | refusals.TooManyRequests):
        return {"Retry-After": str(error.retry_after_s)}
    return {"WWW-Authenticate": error.challenge} if isinstance(error, refusals.Unauthorized) else {}


async def _answered(request: Request, error: Exception) -> Response:
    assert isinstance(error, errors.SkipsegError)
    return told(request, error)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
    return problem(request, 422, "The request was put wrongly", faults, "validation")


async def _plain(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    detail = REMEDIES.get(status, str(error.detail))
    headers = {**(error.headers or {}), **_allowed(request, status)}
    return problem(request, status, status.phrase, detail, CODES.get(status, "http"), headers)


def _allowed(request: Request, status: HTTPStatus) -> dict[str, str]:
    """Every method that a path takes: the router knows of one route only."""
    if status is not HTTPStatus.METHOD_NOT_ALLOWED:
        return {}
    path = request.scope["path"].split("/")
    calls = request.app.openapi()["paths"]
    methods = {method.upper() for template in calls if _fits(path, template.split("/")) for method in calls[template]}
    return {"Allow": ", ".join(sorted(methods))} if methods else {}


def _fits(path: list[str], template: list[str]) -> bool:
    pairs = zip(path, template, strict=False)
    return len(path) == len(template) and all(part == given or given.startswith("{") for part, given in pairs)


async def _database_away(request: Request, error: Exception) -> Response:
    detail = "the database of jobs does not answer just now; what it holds is safe: ask again in a moment"
    title, again = "The database of jobs is away", {"Retry-After": str(DATABASE_BACK_S)}
    return problem(request, 503, title, detail, "database_away", again)


async def _gone(request: Request, error: Exception) -> Response:
    """Nobody reads this; the status (nginx's) is for the log."""
    record_of(request.scope).code = "client_gone"
    return Response(status_code=CLIENT_GONE)
