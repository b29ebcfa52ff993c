"""Around every request: an id, one log line, the counters, and the answer to an error of ours."""

from __future__ import annotations

import logging
from time import perf_counter

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from skipseg.service.observing.logs import NAME
from skipseg.service.observing.metrics import Metrics
from skipseg.service.observing.record import RequestRecord, open_record
from skipseg.service.observing.traces import Answered, Traces
from skipseg.service.problems import CLIENT_GONE, internal_problem

log = logging.getLogger(NAME)

UNMATCHED = "unmatched"
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class Observe:
    """The outermost ASGI middleware of ours."""

    def __init__(self, app: ASGIApp, metrics: Metrics, traces: Traces) -> None:
        self.app = app
        self.metrics, self.traces = metrics, traces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        started, record = perf_counter(), open_record(scope)
        answer = _Answer(send, record)
        try:
            await self.app(scope, receive, answer.send)
        except Exception:  # ours, not the client's: told in the log alone, and the connection lives on
            log.exception("request failed", extra={"fields": {"request_id": record.id}})
            record.code = "internal"
            if answer.status is None:
                await internal_problem(Request(scope))(scope, receive, answer.send)
        finally:
            self._note(scope, record, answer.status or CLIENT_GONE, started)

    def _note(self, scope: Scope, record: RequestRecord, status: int, began: float) -> None:
        method = scope["method"] if scope["method"] in METHODS else "OTHER"
        route, ended = route_of(scope), perf_counter()
        self.metrics.count(method, route, status, ended - began, record)
        fields = {
            "request_id": record.id,
            "trace_id": self.traces.note(scope, record, Answered(method, route, status, began, ended)),
            "method": method,
            "route": route,
            "status": status,
            "ms": round((ended - began) * 1000, 2),
            "code": record.code,
            "model": record.model,
            "shape": record.shape,
            "stages": record.stages.milliseconds() or None,
        }
        log.info("request", extra={"fields": {name: value for name, value in fields.items() if value is not None}})


class _Answer:
    """Passes messages on, adds the request's id, and remembers the status."""

    def __init__(self, send: Send, record: RequestRecord) -> None:
        self.status: int | None = None
        self._send, self._record = send, record

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message)["X-Request-Id"] = self._record.id
        await self._send(message)


def route_of(scope: Scope) -> str:
    """The template of the route that answered, never the path itself: a path can hold anything."""
    route = scope.get("route")
    return getattr(route, "path", None) or UNMATCHED
