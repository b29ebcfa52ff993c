"""Whatever is answered can be found in the log."""

import http.client
import json
import socket

import httpx
import pytest
from servers import PATIENCE_S, RunningServer

TOO_LONG = {"Content-Type": "multipart/form-data; boundary=x", "Content-Length": str(10**12)}


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/healthz", {}, 200),
        ("GET", "/docs", {}, 200),
        ("GET", "/openapi.json", {}, 200),
        ("GET", "/nothing", {}, 404),
        ("GET", "/v1/models/nobody", {}, 404),
        ("HEAD", "/healthz", {}, 405),
        ("DELETE", "/v1/models", {}, 405),
        ("FROB", "/v1/models", {}, 405),
        ("POST", "/v1/segmentations", {"Accept": "video/mp4"}, 406),
        ("POST", "/v1/segmentations?model=small", TOO_LONG, 413),
        ("POST", "/v1/segmentations?overlap=2", {}, 422),
        ("GET", "/healthz", {"Host": "elsewhere.example"}, 400),
        ("GET", "/healthz", {"Host": ""}, 400),
    ],
)
def test_every_answer_names_its_line_in_the_log(
    server: RunningServer, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    connection = http.client.HTTPConnection(httpx.URL(server.url).netloc.decode(), timeout=PATIENCE_S)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    connection.close()
    assert answer.status == status
    assert server.line_of(answer)["status"] == status


@pytest.mark.parametrize("sent", [b"\x16\x03\x01\x02\x00\x01", b"GET /", b"GET / HTTP/1.1\r\nContent-Length: x"])
def test_what_is_no_request_is_a_problem_with_an_id_too(server: RunningServer, sent: bytes) -> None:
    url = httpx.URL(server.url)
    with socket.create_connection((url.host, url.port), PATIENCE_S) as connection:
        connection.sendall(sent + b"\r\n\r\n")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        told = json.loads(answer.read())
    assert (answer.status, answer.headers["Content-Type"]) == (400, "application/problem+json")
    assert told["code"] == "bad_request"
    assert told["request_id"] == answer.headers["X-Request-Id"]
    assert server.line_of(answer)["event"] == "no request"
