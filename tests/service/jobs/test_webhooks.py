"""Who is told that a job has ended: whoever was named, signed, and nobody that only this machine should reach."""

import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from bundles import small_bundle
from jobs import mortal, until
from servers import registry_without_shipped

from skipseg.models.errors import UsageError
from skipseg.service.jobs.webhooks import SIGNATURE, Message, WebhookFailed, check_url, send

MESSAGE = Message(job="0" * 32, kind="segment", state="succeeded", done=3, failed=0, total=3)
SECRET = "a secret of both sides"


@dataclass
class Listener:
    url: str
    statuses: list[int] = field(default_factory=list)  # to answer with, in turn; then 204
    heard: list[tuple[str, bytes]] = field(default_factory=list)


@pytest.fixture
def listener() -> Iterator[Listener]:
    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.heard.append((self.headers[SIGNATURE], body))
            self.send_response(found.statuses.pop(0) if found.statuses else 204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Hook)
    found = Listener(f"http://127.0.0.1:{server.server_port}/hook")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield found
    server.shutdown()


def test_the_signature_can_be_checked_by_whoever_knows_the_secret(listener) -> None:
    send(listener.url, MESSAGE, SECRET, ["127.0.0.1"])
    [(signature, body)] = listener.heard
    at, _, given = signature.partition(",v1=")
    expected = hmac.new(SECRET.encode(), at.removeprefix("t=").encode() + b"." + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(given, expected)
    assert Message.model_validate_json(body) == MESSAGE


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"])
def test_addresses_of_this_machine_are_not_reached(listener, host) -> None:
    url = listener.url.replace("127.0.0.1", host)
    with pytest.raises(WebhookFailed):
        send(url, MESSAGE, SECRET, [])
    assert not listener.heard


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "192.168.1.1", "172.16.0.1", "169.254.169.254", "[fd00::1]", "100.64.0.1"]
)
def test_nor_are_those_of_the_house(address) -> None:
    with pytest.raises(WebhookFailed, match="ConnectError"):
        send(f"https://{address}/hook", MESSAGE, SECRET, [])


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "ftp://example.org/",
        "https://user:word@example.org/",
        "example.org",
        "https://",
        "file:///etc/hosts",
    ],
)
def test_what_is_no_https_url_is_refused(url) -> None:
    with pytest.raises(UsageError, match="https URL"):
        check_url(url, [])
    check_url("https://example.org/hook", [])


def test_a_redirect_or_an_error_is_not_taken_for_an_answer(listener) -> None:
    listener.statuses += [302, 500]
    for _ in range(2):
        with pytest.raises(WebhookFailed, match="status"):
            send(listener.url, MESSAGE, SECRET, ["127.0.0.1"])


def test_a_job_tells_when_it_has_ended_and_again_if_it_was_not_heard(tmp_path, listener, make_scan) -> None:
    data, scans = tmp_path / "data", tmp_path / "scans"
    data.mkdir()
    scans.mkdir()
    (scans / "a.nii.gz").write_bytes(make_scan())
    registry_without_shipped(data).add(small_bundle(tmp_path / "bundle").folder)
    listener.statuses += [503]
    settings = {"allowed_roots": f'["{scans}"]', "webhook_trusted_hosts": '["127.0.0.1"]', "webhook_secret": SECRET}
    with mortal(data, **settings) as server:
        server.serve()
        job = server.job_of(scans, webhook=listener.url)
        server.ended(job)
        until(lambda: len(listener.heard) == 2)
        assert SECRET not in (data / "server.log").read_text()
    told = json.loads(listener.heard[1][1])
    assert told == {
        "event": "job.ended",
        "job": job,
        "kind": "segment",
        "state": "succeeded",
        "done": 1,
        "failed": 0,
        "total": 1,
    }


def test_without_a_secret_no_webhook_is_taken(client) -> None:
    order = {"kind": "segment", "model": "small", "inputs": {"folder": "/"}, "webhook": "https://example.org/hook"}
    answer = client.post("/v1/jobs", json=order)
    assert answer.status_code == 422
    assert "SKIPSEG_WEBHOOK_SECRET" in answer.json()["detail"]
