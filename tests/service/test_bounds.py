"""Limits are kept before memory is taken."""

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import numpy as np
import pytest
from scan_files import nifti

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
    with lonely.server.device.place(), lonely.server.device.place():
        answer = lonely.client.post(PATH, files={"scan": scan})
    assert (answer.status_code, answer.json()["code"]) == (429, "queue_full")
    assert int(answer.headers["Retry-After"]) >= 1
    assert lonely.client.post(PATH, files={"scan": scan}).status_code == 200


def _connection(lonely) -> socket.socket:
    url = urlsplit(str(lonely.client.base_url))
    return socket.create_connection((url.hostname, url.port), timeout=30)


def _head(fields: str) -> bytes:
    return (
        f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n{fields}\r\n\r\n".encode()
    )
