"""A web page that calls itself by 127.0.0.1's address reads nothing."""

import os
import signal
import subprocess
import sys

import httpx
import pytest
from keyholders import app_of
from servers import PATIENCE_S, environment, in_thread, registry_without_shipped, serving

from skipseg.service.middleware.hosts import TrustedHosts


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:{port}", "127.0.0.1:{port}", "[::1]:{port}", "[::1]"])
@pytest.mark.parametrize("path", ["/healthz", "/v1/models"])
def test_the_servers_own_names_are_answered(client, host: str, path: str) -> None:
    assert client.get(path, headers={"Host": host.format(port=client.base_url.port)}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "localhost.evil.example", "127.0.0.1.nip.io", ""]
)
@pytest.mark.parametrize("path", ["/healthz", "/v1/models", "/metrics", "/docs", "/nothing"])
def test_any_other_host_is_refused(client, host: str, path: str) -> None:
    answer = client.get(path, headers={"Host": host.format(port=client.base_url.port)})
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.status_code, answer.json()["code"]) == (400, "host_unknown")


def test_the_address_that_was_chosen_is_one_of_the_servers_names() -> None:
    assert {"127.8.8.8", "[::1]", "localhost"} <= TrustedHosts(None, "127.8.8.8").names
    assert "[::2]" in TrustedHosts(None, "::2").names


def test_names_that_were_set_are_answered_beside_its_own(tmp_path) -> None:
    app = app_of(tmp_path, hosts=("seg.example",))
    with in_thread(app) as url, httpx.Client(base_url=url, timeout=PATIENCE_S) as client:
        hosts = ("seg.example", "SEG.example:443", "localhost", "evil.example")
        assert [client.get("/healthz", headers={"Host": host}).status_code for host in hosts] == [200, 200, 200, 400]


def test_where_others_reach_it_any_name_counts_until_names_are_set() -> None:
    assert TrustedHosts(None, "0.0.0.0", loopback=False).any
    assert not TrustedHosts(None, "0.0.0.0", named=("seg.example",), loopback=False).any
    assert not TrustedHosts(None, "127.0.0.1").any


def test_where_it_listens_is_said_at_every_log_level(tmp_path) -> None:
    registry_without_shipped(tmp_path)
    with serving(tmp_path, until_ready=False, log_level="error") as server, server.client() as client:
        assert client.get("/healthz").status_code == 200
        assert [line["event"] for line in server.lines()] == ["listening"]


def test_a_thread_that_does_not_end_does_not_hold_the_server(tmp_path) -> None:
    registry_without_shipped(tmp_path)
    script = (
        "import sys, threading\n"
        "from skipseg.service.running.server import serve\n"
        "from skipseg.service.settings import load_settings\n"
        "threading.Thread(target=threading.Event().wait).start()\n"
        "serve(load_settings())\n"
    )
    settings = environment({"data": tmp_path, "port": 0, "device": "cpu"})
    process = subprocess.Popen([sys.executable, "-c", script], env=settings, stderr=subprocess.PIPE, text=True)
    try:
        assert '"listening"' in process.stderr.readline()
        while '"loaded"' not in process.stderr.readline():
            pass
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.stderr.close()
