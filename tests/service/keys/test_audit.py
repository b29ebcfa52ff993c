"""Who did what is written down, and nothing of a patient with it."""

import json
import os
import stat
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from keyholders import app_of, bearer
from servers import PATIENCE_S, in_thread

from skipseg.models.errors import ModelUnknown
from skipseg.service.keys.audit import AuditLog
from skipseg.service.keys.entries import MOST_REFUSALS


def lines(data: Path) -> list[dict]:
    return [json.loads(line) for line in (data / "audit.jsonl").read_text().splitlines()]


def test_a_changing_call_is_written_down_with_who_what_and_how_it_ended(lonely, scan) -> None:
    data = lonely.server.settings.data
    done = lonely.client.post("/v1/segmentations", files={"scan": ("Doe^Jane.nii.gz", scan)})
    failed = lonely.client.post("/v1/segmentations?model=Jane", files={"scan": ("Doe^Jane.nii.gz", scan)})
    lonely.client.get("/v1/models")
    first, second = lines(data)
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "caller": "anonymous",
        "action": "POST /v1/segmentations",
        "target": "small@1",
        "status": 200,
        "request_id": done.headers["X-Request-Id"],
    }
    assert (second["status"], second["code"]) == (404, "model_unknown")
    assert second["request_id"] == failed.headers["X-Request-Id"]
    assert "Jane" not in (data / "audit.jsonl").read_text()
    if os.name == "posix":
        assert stat.S_IMODE((data / "audit.jsonl").stat().st_mode) == 0o600


def test_those_who_are_refused_are_written_down(guarded) -> None:
    reader = guarded.with_key("read")
    guarded.client.get("/v1/models/Jane")
    guarded.client.post("/v1/segmentations", headers=bearer("nonsense"))
    guarded.client.post("/v1/segmentations", headers=reader)
    guarded.client.request("JANE", "/Jane", headers=bearer("nonsense"))
    guarded.client.get("/v1/models", headers=reader)
    (key,) = guarded.store.keys().keys
    told = [(line.get("caller"), line["action"], line["status"], line["code"]) for line in guarded.audit()]
    assert told == [
        (None, "GET /v1/models/{name}", 401, "unauthorized"),
        (None, "POST /v1/segmentations", 401, "unauthorized"),
        (f"key:{key.id}", "POST /v1/segmentations", 403, "forbidden"),
        (None, "OTHER unmatched", 401, "unauthorized"),
    ]


def test_a_stranger_cannot_fill_the_disk_with_refusals(guarded, monkeypatch) -> None:
    monkeypatch.setattr("skipseg.service.keys.entries.time", SimpleNamespace(monotonic=lambda: 30.0))  # all in a minute
    headers = guarded.with_key("read")
    for _ in range(200):
        assert guarded.client.get("/v1/models").status_code == 401
    guarded.client.post("/v1/segmentations", headers=headers)
    written = guarded.audit()
    assert len(written) == MOST_REFUSALS + 1
    assert sum(line.get("refusals_not_written", 0) for line in written) + len(written) == 201
    assert written[-1]["status"] == 403


def test_a_line_that_a_full_disk_tore_does_not_swallow_the_next(tmp_path: Path) -> None:
    audit = AuditLog(tmp_path)
    audit.append({"status": 200})
    with audit.path.open("a") as file:
        file.write('{"status": 2')
    audit.append({"status": 201})
    first, torn, last = audit.path.read_text().splitlines()
    assert (json.loads(first)["status"], torn, json.loads(last)["status"]) == (200, '{"status": 2', 201)


def test_the_log_can_be_moved_away_while_the_server_runs(guarded) -> None:
    guarded.client.post("/v1/segmentations")
    log = guarded.data / "audit.jsonl"
    log.rename(guarded.data / "audit.1.jsonl")
    guarded.client.post("/v1/segmentations")
    assert len(guarded.audit()) == 1


def test_a_call_is_answered_when_its_line_cannot_be_kept_and_the_next_is_written_again(guarded) -> None:
    log = guarded.data / "audit.jsonl"
    log.unlink()
    log.mkdir()
    assert guarded.client.post("/v1/segmentations").status_code == 503
    log.rmdir()
    assert guarded.client.post("/v1/segmentations").status_code == 503
    assert [line["status"] for line in guarded.audit()] == [503]


def test_an_error_of_ours_is_written_down_too(tmp_path: Path) -> None:
    app = app_of(tmp_path)

    @app.post("/v1/broken/{name}")
    def broken(name: str) -> None:
        raise RuntimeError(name)

    with in_thread(app) as url:
        answer = httpx.post(f"{url}/v1/broken/jane", timeout=PATIENCE_S)
        assert answer.status_code == 500
        assert answer.headers["Cache-Control"] == "no-store"
    (line,) = lines(tmp_path)
    assert (line["action"], line["status"], "target" in line) == ("POST /v1/broken/{name}", 500, False)


@pytest.mark.parametrize("part", ["name", "id"])
def test_what_a_path_names_is_told_only_of_what_was_found(tmp_path: Path, part: str) -> None:
    app = app_of(tmp_path)

    @app.put(f"/v1/things/{{{part}}}/cases/{{case}}")
    async def change(request_case: str = "") -> str:
        if request_case:
            raise ModelUnknown("no such thing")
        return "changed"

    with in_thread(app) as url:
        httpx.put(f"{url}/v1/things/liver/cases/doe-jane", timeout=PATIENCE_S)
        httpx.put(f"{url}/v1/things/doe-john/cases/doe-jane?request_case=x", timeout=PATIENCE_S)
    assert [line.get("target") for line in lines(tmp_path)] == ["liver", None]
    assert "doe" not in (tmp_path / "audit.jsonl").read_text()
