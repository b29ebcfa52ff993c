"""OpenTelemetry, where the environment names a collector: a span per request, with one in it per stage of its way.

Spans are made when a request has been answered, from what is known of it by then, and hold the fields of its log line.
Of what a client sends only the W3C ``traceparent`` goes into them, which cannot hold a name; ``tracestate`` can.
FastAPI's own telemetry stays off: it sends paths, queries and the messages of exceptions.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter, time
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.types import Scope

from skipseg import __version__
from skipseg.models.errors import UsageError
from skipseg.service.observing.logs import NAME
from skipseg.service.observing.record import RequestRecord

if TYPE_CHECKING:
    from fastapi.telemetry import TelemetryConfig
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import SpanContext, Tracer
    from opentelemetry.util.types import AttributeValue

log = logging.getLogger(NAME)

FASTAPIS_OWN_OFF: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
PROBES = ("/healthz", "/readyz", "/metrics")  # asked every few seconds, by programs
PROTOCOL = "http/protobuf"


@dataclass(frozen=True)
class Answered:
    """A request that was answered; its times are those of ``perf_counter``."""

    method: str
    route: str
    status: int
    began: float
    ended: float


class Traces:
    """Sends spans between ``start`` and ``close``, if the environment says where to; does nothing otherwise."""

    def __init__(self) -> None:
        self._provider: TracerProvider | None = None

    def start(self) -> None:
        """Nothing is imported without a collector. What stands against sending is told in the log."""
        try:
            if _is_wanted(os.environ):
                self._provider = _provider()
        except UsageError as error:
            log.warning("requests are not traced", extra={"fields": {"reason": str(error)}})

    def close(self) -> None:
        """Send what is left."""
        if self._provider is not None:
            self._provider.shutdown()

    def note(self, scope: Scope, record: RequestRecord, answered: Answered) -> str | None:
        """Send the spans of a request; the id of its trace, if it is traced."""
        if self._provider is None or answered.route in PROBES:
            return None
        from opentelemetry.trace import format_trace_id

        context = _send(self._provider.get_tracer("skipseg", __version__), _parent(scope), record, answered)
        return format_trace_id(context.trace_id) if context.trace_flags.sampled else None


def _send(tracer: Tracer, parent: Context, record: RequestRecord, answered: Answered) -> SpanContext:
    from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

    nanoseconds = _wall_clock()
    span = tracer.start_span(
        f"{answered.method} {answered.route}",
        context=parent,
        kind=SpanKind.SERVER,
        attributes=_attributes(record, answered),
        start_time=nanoseconds(answered.began),
    )
    inside = set_span_in_context(span, parent)
    for spent in record.stages.intervals:
        stage = tracer.start_span(spent.stage, context=inside, start_time=nanoseconds(spent.began))
        stage.end(nanoseconds(spent.ended))
    if answered.status >= 500:
        span.set_status(Status(StatusCode.ERROR))
    span.end(nanoseconds(answered.ended))
    return span.get_span_context()


def _wall_clock() -> Callable[[float], int]:
    """From moments of ``perf_counter`` to nanoseconds since 1970."""
    ahead = time() - perf_counter()
    return lambda moment: int((moment + ahead) * 1e9)


def _is_wanted(environment: Mapping[str, str]) -> bool:
    """Whether OpenTelemetry's variables name a collector; raises ``UsageError`` for ways of telling it that we lack."""

    def said(name: str) -> str:
        return environment.get(f"OTEL_EXPORTER_OTLP_TRACES_{name}") or environment.get(f"OTEL_EXPORTER_OTLP_{name}", "")

    exporter = environment.get("OTEL_TRACES_EXPORTER") or "otlp"
    if not said("ENDPOINT") or exporter == "none" or environment.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    if exporter != "otlp":
        raise UsageError(f"OTEL_TRACES_EXPORTER must be otlp or none; it is {exporter!r}")
    if said("PROTOCOL") not in ("", PROTOCOL):
        raise UsageError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL must be {PROTOCOL} (a collector's port 4318); it is {said('PROTOCOL')!r}"
        )
    return True


def _provider() -> TracerProvider:
    """A provider of our own, not the process's: no library can write its spans to it. Raises ``UsageError``."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise UsageError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, and what sends spans is not installed: pip install 'skipseg[otel]'"
        ) from None

    resource = Resource.create({"service.version": __version__})
    if str(resource.attributes["service.name"]).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": "skipseg"}))
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider


def _parent(scope: Scope) -> Context:
    from opentelemetry.context import Context
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    given = Headers(scope=scope).get("traceparent", "")
    return TraceContextTextMapPropagator().extract({"traceparent": given}, context=Context())


def _attributes(record: RequestRecord, answered: Answered) -> dict[str, AttributeValue]:
    """Of OpenTelemetry's names for HTTP those that cannot hold a name, a path or a query."""
    told: dict[str, AttributeValue | None] = {
        "http.request.method": answered.method if answered.method != "OTHER" else "_OTHER",
        "http.route": answered.route if answered.route != "unmatched" else None,
        "http.response.status_code": answered.status,
        "error.type": record.code if answered.status >= 500 else None,
        "skipseg.request_id": record.id,
        "skipseg.code": record.code,
        "skipseg.model": record.model,
        "skipseg.shape": record.shape,
    }
    return {name: value for name, value in told.items() if value is not None}
