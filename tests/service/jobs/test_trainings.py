"""A model is taught through the API alone, while it is asked all the time."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from bundles import small_bundle, small_plan
from jobs import Mortal, children, mortal, until
from servers import registry_without_shipped
from zips import zip_of

from skipseg.models.bundle import save_bundle
from skipseg.models.labels import Labels
from skipseg.training.phantoms import write_picture_dataset

LONG = 2  # minutes: many times what a first step needs; no test waits for their end
SHORT = 1.5


@dataclass
class Asker:
    """Sends one picture again and again, and notes who answered."""

    answered: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


@contextmanager
def asking(url: str, picture: bytes) -> Iterator[Asker]:
    found, ended = Asker(), threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=url, timeout=120) as client:
            while not ended.is_set():
                answer = client.post("/v1/segmentations?model=cells", files={"scan": ("a.png", picture)})
                if answer.status_code == 200:
                    found.answered.append(answer.headers["X-Skipseg-Model"])
                else:
                    found.failures.append(answer.text)
                ended.wait(0.05)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    write_picture_dataset(tmp_path / "pictures", cases=8, seed=0)
    return tmp_path / "pictures"


@pytest.fixture
def server(tmp_path: Path, pictures: Path) -> Iterator[Mortal]:
    data = tmp_path / "data"
    data.mkdir()
    names = json.loads((pictures / "labels.json").read_text())["labels"]
    draft = small_bundle(tmp_path / "draft", small_plan(2, classes=len(names)), "cells")
    fields = {name: getattr(draft.manifest, name) for name in ("name", "task", "plan", "training")}
    labels = Labels.from_names({0: "background"} | {int(value): name for value, name in names.items() if int(value)})
    bundle = save_bundle(
        tmp_path / "bundle", draft.network().state_dict(), lambda manifest: "", labels=labels, **fields
    )
    registry_without_shipped(data).add(bundle.folder)
    with mortal(data, device="cpu") as running:
        running.serve()
        until(lambda: running.get("/readyz").status_code == 200)
        yield running


def dataset_of(server: Mortal, pictures: Path) -> None:
    sent = server.post("/v1/uploads", files={"file": ("pictures.zip", zip_of(pictures))})
    made = server.post("/v1/datasets", json={"name": "pictures", "upload": sent.json()["id"]})
    assert made.status_code == 201, made.text


def training_of(server: Mortal, minutes: float = LONG) -> str:
    order = {"kind": "train", "dataset": "pictures", "minutes": minutes, "name": "cells"}
    answer = server.post("/v1/jobs", json=order)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def until_it_learns(server: Mortal, job: str) -> None:
    until(lambda: bool((server.get(f"/v1/jobs/{job}").json()["training"] or {}).get("curve")), within=240)


def end_the_fit(server: Mortal) -> None:
    """As if its minutes were over: the process that trains is told so, and the job is not cancelled."""
    processes = [pid for worker in children(server.processes[0].pid) for pid in children(worker)]
    [fit] = [
        pid for pid in processes if b"skipseg.service.retraining.child" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    os.kill(fit, signal.SIGTERM)


def test_dataset_training_promotion_and_the_way_back_without_one_failed_request(server, pictures) -> None:
    dataset_of(server, pictures)
    picture = next((pictures / "images").iterdir()).read_bytes()
    with asking(server.url, picture) as asker:
        job = training_of(server)
        until_it_learns(server, job)
        end_the_fit(server)
        until(lambda: server.get(f"/v1/jobs/{job}").json()["ended"] is not None, within=240)
        ended = server.get(f"/v1/jobs/{job}").json()
        assert ended["state"] == "succeeded", json.dumps(ended)
        assert ended["outcome"]["candidate"] == "cells@2"
        assert ended["outcome"]["judgement"]["a"] == "cells@1"
        assert not ended["outcome"]["promotion"]["promoted"]
        assert set(asker.answered) == {"cells@1"}
        assert server.post("/v1/models/cells/promote", json={"version": 2}).json()["live"] == 2
        until(lambda: asker.answered[-1] == "cells@2")
        assert server.post("/v1/models/cells/rollback").json()["live"] == 1
        until(lambda: asker.answered[-1] == "cells@1")
    assert not asker.failures


@pytest.mark.slow
def test_a_training_goes_on_after_everybody_was_killed_and_leaves_one_candidate(server, pictures) -> None:
    dataset_of(server, pictures)
    job = training_of(server, minutes=SHORT)
    until_it_learns(server, job)
    server.kill()
    server.serve()
    until(lambda: server.get(f"/v1/jobs/{job}").json()["ended"] is not None, within=240)
    assert server.get(f"/v1/jobs/{job}").json()["outcome"]["candidate"] == "cells@2"
    assert server.get("/v1/models/cells").json()["versions"] == [1, 2]


@pytest.mark.slow
def test_a_cancel_keeps_the_best_so_far(server, pictures) -> None:
    dataset_of(server, pictures)
    job = training_of(server)
    until_it_learns(server, job)
    assert server.post(f"/v1/jobs/{job}/cancel").json()["state"] == "cancelled"
    until(lambda: server.get(f"/v1/jobs/{job}").json()["ended"] is not None, within=120)
    outcome = server.get(f"/v1/jobs/{job}").json()["outcome"]
    assert outcome["cancelled"]
    assert outcome["candidate"] == "cells@2"


def test_what_a_training_lacks_is_said_at_once(server, pictures) -> None:
    order = {"kind": "train", "dataset": "pictures", "minutes": 1, "name": "cells"}
    assert server.post("/v1/jobs", json=order).status_code == 404
    dataset_of(server, pictures)
    assert server.post("/v1/jobs", json={**order, "from": "nothing"}).json()["code"] == "model_unknown"
    assert server.post("/v1/jobs", json={**order, "minutes": 0}).status_code == 422
