"""Limits are kept before memory is taken."""

import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import numpy as np
import pytest
from bundles import small_bundle
from scan_files import nifti
from servers import registry_without_shipped, serving

PATH = "/v1/segmentations"


def test_a_body_that_is_announced_too_long_is_refused_before_it_is_sent(lonely) -> None:
    with _connection(lonely) as connection:
        connection.sendall(_head("Content-Length: 5000000000\r\nExpect: 100-continue"))
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"application/problem+json" in answer


def test_a_body_that_grows_too_long_is_refused_while_it_comes(lonely) -> None:
    sent = []

    def parts() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="scan"; filename="a"\r\n\r\n'
        for number in range(100):
            sent.append(number)
            yield bytes(10_000)

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = lonely.client.post(PATH, content=parts(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "scan_too_large")
    assert "100,000 bytes" in answer.json()["detail"]


@pytest.mark.parametrize("size", [100_001, 3_000_000])
def test_a_client_that_sends_on_still_reads_the_answer(lonely, size: int) -> None:
    answer = lonely.client.post(PATH, files={"scan": bytes(size)})
    assert (answer.status_code, answer.json()["code"]) == (413, "scan_too_large")
    assert lonely.client.get("/healthz").status_code == 200


def test_a_scan_of_too_many_voxels_is_refused(lonely) -> None:
    answer = lonely.client.post(PATH, files={"scan": nifti(np.zeros((40, 40, 40), np.uint8))})
    assert (answer.status_code, answer.json()["code"]) == (413, "scan_too_large")
    assert "50,000 voxels" in answer.json()["detail"]


def test_too_many_parts_are_refused(client) -> None:
    answer = client.post(PATH, params={"model": "small"}, files=[("scan", b"x")] * 100)
    assert answer.status_code in (400, 413)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "64" in answer.json()["detail"]


def test_when_every_place_is_taken_the_next_is_told_when_to_come_back(lonely, scan) -> None:
    with lonely.server.line.place(), lonely.server.line.place():
        answer = lonely.client.post(PATH, files={"scan": scan})
    assert (answer.status_code, answer.json()["code"]) == (429, "queue_full")
    assert int(answer.headers["Retry-After"]) >= 1
    assert lonely.client.post(PATH, files={"scan": scan}).status_code == 200


def test_a_disk_that_is_full_is_told_and_survived(tmp_path, scan) -> None:
    """A limit on the size of files stands for the full disk: writing fails alike."""
    resource = pytest.importorskip("resource")
    if not hasattr(resource, "prlimit"):
        pytest.skip("only Linux limits another process")
    registry_without_shipped(tmp_path).add(small_bundle(tmp_path / "bundle").folder)
    with serving(tmp_path) as server, server.client() as client:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (1_100_000, 1_100_000))
        full = client.post(PATH, files={"scan": bytes(3_000_000)})
        assert (full.status_code, full.json()["code"]) == (507, "disk_full")
        assert "disk" in full.json()["detail"]
        assert client.post(PATH, files={"scan": scan}).status_code == 200


def test_a_client_that_leaves_during_its_upload_is_no_error_of_ours(server, client) -> None:
    def gone() -> int:
        return sum(line.get("status") == 499 for line in server.lines())

    before, url = gone(), urlsplit(server.url)
    with socket.create_connection((url.hostname, url.port)) as connection:
        connection.sendall(_head("Content-Length: 100000").replace(b"tions ", b"tions?model=small ") + b"--b\r\n")
        time.sleep(0.1)
    ends = time.monotonic() + 30
    while gone() == before and time.monotonic() < ends:
        time.sleep(0.02)
    assert gone() == before + 1
    assert not any(line["event"] == "request failed" for line in server.lines())


def _connection(lonely) -> socket.socket:
    url = urlsplit(str(lonely.client.base_url))
    return socket.create_connection((url.hostname, url.port), timeout=30)


def _head(fields: str) -> bytes:
    return (
        f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\n{fields}\r\n\r\n".encode()
    )
