"""Jobs of a running server, called as ``curl`` would call them."""

import io
import json
import time
from collections.abc import Mapping
from zipfile import ZipFile, ZipInfo

import httpx

PATIENCE_S = 240


def archive(members: Mapping[str | ZipInfo, bytes]) -> bytes:
    """A zip file."""
    buffer = io.BytesIO()
    with ZipFile(buffer, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


def upload(client: httpx.Client, content: bytes, name: str = "scans.zip") -> str:
    """The id under which the server keeps a file."""
    answer = client.post("/v1/uploads", files={"file": (name, content)})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def order(inputs: dict, **more) -> dict:
    return {"kind": "segment", "model": "small", "inputs": inputs, **more}


def submit(client: httpx.Client, inputs: dict, **more) -> dict:
    answer = client.post("/v1/jobs", json=order(inputs, **more))
    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"/v1/jobs/{answer.json()['id']}"
    return answer.json()


def until(client: httpx.Client, id: str, reached) -> dict:
    """The job, once ``reached(job)``."""
    ends = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends:
        job = client.get(f"/v1/jobs/{id}").json()
        if reached(job):
            return job
        time.sleep(0.05)
    raise AssertionError(f"the job did not get there: {job}")


def ended(client: httpx.Client, id: str) -> dict:
    return until(client, id, lambda job: job["ended"] is not None)


def finished(client: httpx.Client, inputs: dict, **more) -> dict:
    return ended(client, submit(client, inputs, **more)["id"])


def items_of(client: httpx.Client, job: dict) -> dict[str, dict]:
    return {item["name"]: item for item in client.get(f"/v1/jobs/{job['id']}/items").json()["items"]}


def mask_of(client: httpx.Client, scan: bytes, model: str = "small") -> bytes:
    """What the server answers at once for a scan."""
    answer = client.post("/v1/segmentations", params={"model": model}, files={"scan": ("s", scan)})
    assert answer.status_code == 200, answer.text
    return answer.content


def events_of(client: httpx.Client, id: str) -> list[tuple[str, dict]]:
    """All server-sent events of a job, to the end of the stream."""
    text = client.get(f"/v1/jobs/{id}/events").text
    told = [block.splitlines() for block in text.split("\n\n") if block and not block.startswith(":")]
    return [(event.removeprefix("event: "), json.loads(data.removeprefix("data: "))) for event, data in told]
