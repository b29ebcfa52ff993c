"""Spans go to the collector that the environment names, and to nobody else."""

import subprocess
import sys
from pathlib import Path

import pytest
from bundles import small_bundle
from collector import attributes, collecting
from servers import environment, registry_without_shipped, serving

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
VARIABLE = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.fixture
def one_model(tmp_path: Path) -> Path:
    registry_without_shipped(tmp_path).add(small_bundle(tmp_path / "bundle").folder)
    return tmp_path


def test_a_request_is_a_span_of_its_callers_trace_with_its_stages_inside(
    one_model: Path, scan: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with collecting() as collector:
        monkeypatch.setenv(VARIABLE, collector.url)
        with serving(one_model) as server, server.client() as client:
            headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=Jane"}
            answer = client.post("/v1/segmentations", files={"scan": scan}, headers=headers)
            refused = client.post("/v1/segmentations?model=nobody")
            lines = server.line_of(answer), server.line_of(refused)
        spans = {(span.trace_id.hex(), span.name): span for span in collector.spans()}
    request = spans[TRACE, "POST /v1/segmentations"]
    stages = {name: span for (trace, name), span in spans.items() if trace == TRACE and span is not request}
    assert request.parent_span_id.hex() == PARENT
    assert {"read", "queue", "preprocess", "network", "postprocess", "write"} == stages.keys()
    assert {span.parent_span_id for span in stages.values()} == {request.span_id}
    for span in stages.values():
        assert request.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= request.end_time_unix_nano
    assert stages["read"].end_time_unix_nano <= stages["network"].start_time_unix_nano
    assert attributes(request) == {
        "http.request.method": "POST",
        "http.route": "/v1/segmentations",
        "http.response.status_code": 200,
        "skipseg.request_id": answer.headers["X-Request-Id"],
        "skipseg.model": "small@1",
        "skipseg.shape": [1, 20, 24, 13],
    }
    assert lines[0]["trace_id"] == TRACE
    other = spans[lines[1]["trace_id"], "POST /v1/segmentations"]
    assert attributes(other)["skipseg.code"] == "model_unknown"
    assert collector.services() == {"skipseg"}
    assert b"Jane" not in b"".join(collector.bodies)
    assert {span.name for span in spans.values()} == {"POST /v1/segmentations", *stages}  # and not the probes


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"), ("OTEL_TRACES_EXPORTER", "zipkin", "otlp or none")],
)
def test_a_way_of_sending_that_there_is_not_is_told_and_the_server_serves(
    one_model: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    monkeypatch.setenv(VARIABLE, "http://127.0.0.1:9")
    monkeypatch.setenv(variable, value)
    with serving(one_model, until_ready=False) as server, server.client() as client:
        assert client.get("/healthz").status_code == 200
        (told,) = [line for line in server.lines() if line["event"] == "requests are not traced"]
    assert (told["level"], words in told["reason"]) == ("warning", True)


def test_a_collector_that_is_not_there_costs_no_request_and_is_told(
    one_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "http://127.0.0.1:9")
    with serving(one_model, until_ready=False) as server, server.client() as client:
        assert client.get("/v1/models").status_code == 200
    assert any("export" in line["event"].lower() for line in server.lines() if line["level"] in ("warning", "error"))


SERVED_WITHOUT_SENDING = """
import sys
{block}
from pathlib import Path
from skipseg.service.app import create_app
from skipseg.service.settings import Settings
import asyncio
app = create_app(Settings(data=Path(sys.argv[1]), device="cpu"))
async def once():
    async with app.router.lifespan_context(app):
        pass
asyncio.run(once())
print(sorted(name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))))
"""


@pytest.mark.parametrize("block", ["", "sys.modules['opentelemetry.sdk'] = None"])
def test_without_a_collector_nothing_that_sends_is_imported_or_needed(tmp_path: Path, block: str) -> None:
    registry_without_shipped(tmp_path)
    script = SERVED_WITHOUT_SENDING.format(block=block)
    ran = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], env=environment({}), capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() in ("[]", "['opentelemetry.sdk']")
