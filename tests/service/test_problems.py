"""Every error is a problem document, and one of ours tells nothing."""

import http.client
import json
import logging
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI
from servers import in_thread

from skipseg.models import errors
from skipseg.models.errors import SkipsegError
from skipseg.service import problems, refusals
from skipseg.service.observing.logs import JsonLines
from skipseg.service.observing.metrics import Metrics
from skipseg.service.observing.observe import Observe
from skipseg.service.observing.traces import Traces
from skipseg.service.problems import ANSWERS, answer_for

FIELDS = {"title", "status", "detail", "code", "request_id"}


def every_error() -> list[type[SkipsegError]]:
    named = {**vars(errors), **vars(refusals)}
    return [kind for kind in named.values() if isinstance(kind, type) and issubclass(kind, SkipsegError)]


@pytest.mark.parametrize("kind", every_error())
def test_every_error_has_its_row_in_the_table(kind: type[SkipsegError]) -> None:
    assert kind in ANSWERS
    assert ANSWERS[kind].exit_code in (1, 2)


def test_an_error_without_a_row_is_answered_like_its_base() -> None:
    class Special(errors.ScanCorrupt):
        pass

    assert answer_for(Special("x")) == ANSWERS[errors.ScanCorrupt]


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/v1/models/", 404, "not_found"),
        ("DELETE", "/healthz", 405, "method_not_allowed"),
        ("GET", "/v1/segmentations", 405, "method_not_allowed"),
        ("POST", "/v1/segmentations?model=" + "x" * 81, 422, "validation"),
        ("POST", "/v1/segmentations?model=nobody", 404, "model_unknown"),
    ],
)
def test_every_refusal_is_a_problem_document(client, method: str, path: str, status: int, code: str) -> None:
    answer = client.request(method, path)
    assert answer.headers["Content-Type"] == "application/problem+json"
    told = answer.json()
    assert set(told) == FIELDS
    assert (answer.status_code, told["status"], told["code"]) == (status, status, code)
    assert told["request_id"] == answer.headers["X-Request-Id"]
    assert told["detail"]


def test_a_method_that_is_not_allowed_tells_which_is(client) -> None:
    assert client.get("/v1/segmentations").headers["Allow"] == "POST"


def test_an_error_of_ours_tells_nothing_and_the_connection_lives_on() -> None:
    lines: list[str] = []
    with _logging_to(lines), in_thread(_app_that_fails()) as url:
        connection = http.client.HTTPConnection(urlsplit(url).netloc)
        answers = [_get(connection, path) for path in ("/fails", "/works")]
    (status, told, kept), (later, _, same) = answers
    assert (status, told["code"], set(told)) == (500, "internal", FIELDS)
    assert "Jane" not in json.dumps(told)
    assert later == 200
    assert kept is same
    logged = next(json.loads(line) for line in lines if "exception" in line)
    assert logged["exception"]["class"] == "builtins.RuntimeError"
    assert any("test_problems.py" in frame for frame in logged["exception"]["frames"])
    assert logged["request_id"] == told["request_id"]
    assert "Jane" not in "".join(lines)


def _app_that_fails() -> FastAPI:
    app = FastAPI()

    @app.get("/fails")
    def fails() -> None:
        raise RuntimeError("the scan of Jane Doe")

    @app.get("/works")
    def works() -> str:
        return "fine"

    problems.register(app)
    app.add_middleware(Observe, metrics=Metrics(), traces=Traces())
    return app


def _get(connection: http.client.HTTPConnection, path: str):
    connection.request("GET", path)
    socket, answer = connection.sock, connection.getresponse()
    return answer.status, json.loads(answer.read()), socket


class _logging_to:  # noqa: N801 - reads like a function
    def __init__(self, lines: list[str]) -> None:
        self.handler = logging.Handler()
        self.handler.setFormatter(JsonLines())
        self.handler.emit = lambda record: lines.append(self.handler.format(record))  # type: ignore[method-assign]

    def __enter__(self) -> None:
        logging.getLogger("skipseg").addHandler(self.handler)

    def __exit__(self, *_: object) -> None:
        logging.getLogger("skipseg").removeHandler(self.handler)
