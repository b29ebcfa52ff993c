"""Alive, ready, and what there is to ask for."""

import os
import signal
import time

import httpx
import torch
from bundles import small_bundle
from servers import registry_without_shipped, serving

from skipseg import __version__
from skipseg.models.inference.engine import Engine
from skipseg.models.registry import Registry
from skipseg.service.resident.loaded import LoadedModels


def test_a_server_is_alive_and_ready_once_its_models_are_warm(client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz").json()
    assert ready == {"status": "ready", "models": ["flat@1", "pair@1", "small@1"], "failed": []}


def test_a_server_without_a_model_starts_and_says_so(tmp_path) -> None:
    registry_without_shipped(tmp_path)
    with serving(tmp_path, until_ready=False) as server, server.client() as client:
        assert client.get("/healthz").status_code == 200
        unready = _when_loaded(client)
        assert unready.status_code == 503
        assert unready.headers["Content-Type"] == "application/problem+json"
        assert unready.json()["code"] == "not_ready"
        assert "skipseg models add" in unready.json()["detail"]
        assert client.post("/v1/segmentations", files={"scan": b"x"}).status_code == 503
        assert client.get("/v1/info").json()["models"] == []


def test_a_damaged_model_is_named_and_the_others_serve(tmp_path, scan) -> None:
    registry = registry_without_shipped(tmp_path)
    for name in ("good", "damaged"):
        registry.add(small_bundle(tmp_path / name, name=name).folder)
    weights = registry.resolve("damaged").folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    with serving(tmp_path) as server, server.client() as client:
        failed = client.get("/readyz").json()["failed"]
        assert [model["name"] for model in failed] == ["damaged"]
        assert "checksum" in failed[0]["reason"]
        listed = {model["name"]: model for model in client.get("/v1/models").json()["models"]}
        assert (listed["damaged"]["state"], "labels" in listed["damaged"]) == ("failed", False)
        assert "labels" in listed["good"]
        assert [line["model"] for line in server.lines() if line["event"] == "model failed"] == ["damaged@1"]
        refused = client.post("/v1/segmentations?model=damaged", files={"scan": scan})
        assert (refused.status_code, "checksum" in refused.json()["detail"]) == (503, True)
        assert client.post("/v1/segmentations?model=good", files={"scan": scan}).status_code == 200
        assert client.post("/v1/segmentations", files={"scan": scan}).json()["code"] == "usage"


class Capricious(Registry):
    """Fails for one model in a way that nobody foresaw."""

    def resolve(self, reference: str):
        return {}[reference] if reference.startswith("odd") else super().resolve(reference)


def test_a_model_that_fails_in_an_unforeseen_way_is_named_and_the_others_load(tmp_path) -> None:
    registry = registry_without_shipped(tmp_path)
    for name in ("good", "odd", "zealous"):
        registry.add(small_bundle(tmp_path / name, name=name).folder)
    models = LoadedModels(Capricious(registry.root), torch.device("cpu"), "fast", 10**9, Engine())
    models.start()
    while models.loading:
        time.sleep(0.01)
    assert models.references() == ("good@1", "zealous@1")
    assert set(models.failed) == {"odd"}


def test_models_tell_their_versions_and_their_state(client) -> None:
    models = {model["name"]: model for model in client.get("/v1/models").json()["models"]}
    told = {"name": "small", "versions": [1, 2], "live": 1, "shipped": False, "state": "ready"}
    assert models["small"].items() >= told.items()


def test_the_list_tells_of_every_model_what_its_own_page_tells(client) -> None:
    for model in client.get("/v1/models").json()["models"]:
        assert model == client.get(f"/v1/models/{model['name']}").json()
        assert {"labels", "input", "metrics"} <= model.keys()
        assert {"value", "name", "colour", "code"} <= model["labels"][1].keys()


def test_a_model_tells_what_goes_in_and_what_comes_out(client) -> None:
    told = client.get("/v1/models/pair").json()
    assert told["input"]["channels"] == ["channel 0", "channel 1"]
    assert told["input"]["dimensions"] == 3
    assert [label["name"] for label in told["labels"]] == ["background", "label 1", "label 2"]
    assert told["described"] == 1


def test_an_unknown_model_is_a_problem(client) -> None:
    answer = client.get("/v1/models/nobody")
    assert (answer.status_code, answer.json()["code"]) == (404, "model_unknown")


def test_info_tells_the_version_the_device_and_the_limits(client) -> None:
    told = client.get("/v1/info").json()
    assert told["version"] == __version__
    assert told["device"] == "cpu" or told["device"].startswith("cuda")
    assert told["models"] == ["flat@1", "pair@1", "small@1"]
    assert [model["model"] for model in told["loaded"]] == told["models"]
    assert set(told["limits"]) == {"upload_bytes", "voxels", "channels", "queue_size"}


def test_an_interrupt_ends_the_server_quietly(tmp_path) -> None:
    registry_without_shipped(tmp_path)
    with serving(tmp_path, until_ready=False) as server:
        os.kill(server.pid, signal.SIGINT)
        assert server.ended() == 0
    assert {line["event"] for line in server.lines()} <= {"listening", "loaded"}


def _when_loaded(client: httpx.Client) -> httpx.Response:
    while "being loaded" in (answer := client.get("/readyz")).text:
        pass
    return answer
