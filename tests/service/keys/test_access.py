"""Who is let in, and how far."""

import socket
from datetime import UTC, datetime

import pytest
from keyholders import app_of, bearer
from servers import registry_without_shipped, serving, skipseg


def test_without_keys_this_machine_is_answered(guarded) -> None:
    assert guarded.client.get("/v1/info").status_code == 200


def test_once_there_is_a_key_nobody_gets_in_without_one(guarded) -> None:
    headers = guarded.with_key("read")
    refused = guarded.client.get("/v1/info")
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.headers["WWW-Authenticate"] == 'Bearer realm="skipseg"'
    assert "skipseg keys create" in refused.json()["detail"]
    assert guarded.client.get("/v1/info", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "header",
    [
        "Bearer skipseg_000000000000_" + "0" * 64,
        "Bearer nonsense",
        "Bearer",
        "Basic {token}",
        "{token}",
        "Bearer {token}0",
        "Bearer {token} {token}",
        "Bearer " + "x" * 20_000,
    ],
)
def test_what_is_no_key_is_refused(guarded, header: str) -> None:
    token = guarded.with_key()["Authorization"].partition(" ")[2]
    refused = guarded.client.get("/v1/info", headers={"Authorization": header.format(token=token)})
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
    assert 'error="invalid_token"' in refused.headers["WWW-Authenticate"]
    assert token not in refused.text


def test_two_headers_with_keys_are_refused(guarded) -> None:
    header = ("Authorization", guarded.with_key()["Authorization"])
    assert guarded.client.get("/v1/info", headers=[header]).status_code == 200
    assert guarded.client.get("/v1/info", headers=[header, header]).status_code == 401


def test_a_wrong_key_is_refused_even_where_none_is_needed(guarded) -> None:
    assert guarded.client.get("/v1/info", headers=bearer("nonsense")).status_code == 401


def test_a_key_that_is_revoked_stops_at_once_and_opens_nothing(guarded) -> None:
    key, token = guarded.store.create("", ("read",), days=1)
    assert guarded.client.get("/v1/info", headers=bearer(token)).status_code == 200
    guarded.store.revoke(key.id)
    refused = guarded.client.get("/v1/info", headers=bearer(token))
    assert (refused.status_code, "revoked" in refused.json()["detail"]) == (401, True)
    assert guarded.client.get("/v1/info").status_code == 401


def test_a_key_that_has_expired_is_refused(guarded) -> None:
    key, token = guarded.store.create("", ("read",), days=1)
    file = guarded.data / "keys.json"
    file.write_text(file.read_text().replace(f"{key.expires:%Y-%m-%d}", "2020-01-01"))
    refused = guarded.client.get("/v1/info", headers=bearer(token))
    assert (refused.status_code, "expired" in refused.json()["detail"]) == (401, True)


@pytest.mark.parametrize("harm", ["removed", "damaged"])
def test_a_file_of_keys_that_is_harmed_lets_nobody_in(guarded, harm: str) -> None:
    headers, file = guarded.with_key(), guarded.data / "keys.json"
    assert guarded.client.get("/v1/info", headers=headers).status_code == 200
    file.unlink() if harm == "removed" else file.write_text("{}}")
    expected = {"removed": (401, 401), "damaged": (503, 503)}[harm]
    answers = [guarded.client.get("/v1/info", headers=given).status_code for given in (headers, {})]
    assert tuple(answers) == expected
    assert guarded.client.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        (("read",), {"read"}),
        (("segment",), {"segment"}),
        (("train",), set()),
        (("read", "segment"), {"read", "segment"}),
        (("admin",), {"read", "segment"}),
    ],
)
def test_a_key_reaches_as_far_as_its_scopes(guarded, scopes: tuple[str, ...], allowed: set[str]) -> None:
    headers = guarded.with_key(*scopes)
    answers = {
        "read": guarded.client.get("/v1/info", headers=headers),
        "segment": guarded.client.post("/v1/segmentations", headers=headers),
    }
    assert {scope for scope, answer in answers.items() if answer.status_code != 403} == allowed
    for scope in answers.keys() - allowed:
        told = answers[scope].json()
        assert (told["code"], scope in told["detail"]) == ("forbidden", True)


@pytest.mark.parametrize("path", ["/healthz", "/docs", "/openapi.json", "/"])
def test_what_tells_of_nothing_that_is_kept_is_open(guarded, path: str) -> None:
    guarded.with_key()
    assert guarded.client.get(path).status_code == 200
    assert guarded.client.get(path, headers=bearer("nonsense")).status_code == 200
    assert guarded.client.post(path).status_code == 401


@pytest.mark.parametrize(
    "path", ["/v1/nothing", "/nothing", "/page", "/page/nothing.js", "/page/js/%2e%2e/%2e%2e/v1/models", "/healthz/"]
)
def test_strangers_do_not_learn_what_there_is(guarded, path: str) -> None:
    guarded.with_key()
    assert guarded.client.get(path).status_code == 401


def test_metrics_need_a_key_unless_they_are_opened(guarded_with) -> None:
    with guarded_with() as server:
        assert server.client.get("/metrics", headers=server.with_key("read")).status_code == 200
        assert server.client.get("/metrics").status_code == 401
    with guarded_with(open_metrics=True) as server:
        assert server.client.get("/metrics").status_code == 200
        assert server.client.get("/v1/info").status_code == 401


def test_every_route_under_v1_says_which_scope_it_needs(tmp_path) -> None:
    """One that does not say would be open to every key."""
    document = app_of(tmp_path).openapi()
    calls = [(path, call) for path, calls in document["paths"].items() for call in calls.values()]
    guarded = [(path, call) for path, call in calls if path.startswith("/v1")]
    assert guarded
    assert [path for path, call in guarded if not call.get("security", [{}])[0].get("key")] == []
    assert [path for path, call in guarded if not {"401", "403", "429", "503"} <= call["responses"].keys()] == []
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"


def test_when_a_key_was_used_is_kept(guarded) -> None:
    _, token = guarded.store.create("", ("read",), days=1)
    before = datetime.now(UTC).replace(second=0, microsecond=0)
    guarded.client.get("/v1/info", headers=bearer(token))
    (kept,) = guarded.store.keys().keys
    assert kept.last_used is not None
    assert before <= kept.last_used <= datetime.now(UTC)


def test_the_key_is_in_no_log_and_no_file(tmp_path) -> None:
    """Also when it is sent in ways that are refused."""
    registry_without_shipped(tmp_path)
    made = skipseg("keys", "create", "--scope", "read", "--scope", "segment", data=tmp_path)
    token = made.stdout.strip()
    secret = token.rpartition("_")[2]
    with serving(tmp_path, until_ready=False, log_level="debug") as server, server.client() as client:
        assert client.get("/v1/info", headers=bearer(token)).status_code == 200
        assert client.post(f"/v1/segmentations?model={token}", headers=bearer(token)).status_code >= 400
        assert client.delete(f"/v1/models/{token}", headers=bearer(token)).status_code >= 400
        last = client.get("/v1/info", headers={"Authorization": f"Basic {token}"})
        assert server.line_of(last)["status"] == 401
    assert len(secret) == 64
    written = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert {"server.log", "audit.jsonl", "keys.json"} <= {file.name for file in written}
    assert [file for file, text in written.items() if secret.encode() in text] == []


def test_an_upload_is_not_read_before_the_key_is_known(guarded) -> None:
    """The body is announced and never sent: an answer can only come from what was sent before it."""
    guarded.with_key()
    url = guarded.client.base_url
    head = f"POST /v1/segmentations HTTP/1.1\r\nHost: {url.host}:{url.port}\r\nContent-Length: 1000000\r\n\r\n"
    with socket.create_connection((url.host, url.port), timeout=60) as connection:
        connection.sendall(head.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 401 ")


def test_a_client_that_sends_a_large_upload_without_a_key_reads_why_it_is_refused(guarded) -> None:
    guarded.with_key()
    refused = guarded.client.post("/v1/segmentations", files={"scan": bytes(30_000_000)})
    assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
