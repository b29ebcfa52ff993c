"""An OpenTelemetry collector, as far as one must be one to be sent spans."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collector:
    """What came, as it came."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.bodies: list[bytes] = []

    def spans(self) -> list[Span]:
        requests = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        scopes = [scope for request in requests for sent in request.resource_spans for scope in sent.scope_spans]
        return [span for scope in scopes for span in scope.spans]

    def services(self) -> set[str]:
        requests = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        told = [fact for request in requests for sent in request.resource_spans for fact in sent.resource.attributes]
        return {fact.value.string_value for fact in told if fact.key == "service.name"}


def attributes(span: Span) -> dict[str, str | int | list[int]]:
    """A span's attributes as Python has them."""
    told = {fact.key: fact.value for fact in span.attributes}
    return {
        key: [one.int_value for one in value.array_value.values]
        if value.HasField("array_value")
        else (value.int_value if value.HasField("int_value") else value.string_value)
        for key, value in told.items()
    }


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector on loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield collector
        server.shutdown()
