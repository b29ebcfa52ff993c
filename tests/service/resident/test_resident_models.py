"""Models come into memory, leave it and change places while a server answers."""

import asyncio
import gc
import gzip
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import nibabel
import numpy as np
import pytest
import torch
from bundles import small_bundle, small_plan
from servers import PATIENCE_S, in_thread, registry_without_shipped

from skipseg.models.errors import ModelUnknown, NotReady, QueueFull
from skipseg.models.inference.engine import Engine
from skipseg.models.inference.predictor import Predictor
from skipseg.models.registry import ModelVersion, Registry
from skipseg.models.scans.reader import read_scan
from skipseg.service.app import create_app
from skipseg.service.resident import loading
from skipseg.service.resident.loaded import LoadedModels
from skipseg.service.resident.loading import bytes_of
from skipseg.service.settings import Settings
from skipseg.service.state import Server

PATH = "/v1/segmentations"


@pytest.fixture
def registry(tmp_path) -> Registry:
    """``small`` in two versions, of which the first is live."""
    registry = registry_without_shipped(tmp_path)
    for seed in (0, 1):
        registry.add(small_bundle(tmp_path / f"bundle {seed}", seed=seed).folder)
    return registry


@pytest.fixture
def pair(tmp_path) -> Registry:
    """``a`` and ``b``, both live; ``b`` is a little larger."""
    registry = registry_without_shipped(tmp_path)
    for classes, name in enumerate("ab", start=3):
        registry.add(small_bundle(tmp_path / name, small_plan(classes=classes), name).folder)
    return registry


@dataclass(frozen=True)
class Served:
    server: Server
    client: httpx.Client
    scan: bytes

    def ask(self, model: str) -> httpx.Response:
        return self.client.post(PATH, params={"model": model}, files={"scan": ("scan.nii.gz", self.scan)})

    def answers(self, model: str) -> str:
        """Which version answers."""
        answer = self.ask(model)
        assert answer.status_code == 200, answer.text
        return answer.headers["X-Skipseg-Model"]


@pytest.fixture
def served(tmp_path, scan) -> Callable:
    @contextmanager
    def serve(**settings: object) -> Iterator[Served]:
        app = create_app(Settings(data=tmp_path, device="cpu", precision="exact", threads=2, **settings))
        with in_thread(app) as url, httpx.Client(base_url=url, timeout=PATIENCE_S) as client:
            until(lambda: not app.state.server.models.loading)
            yield Served(app.state.server, client, scan)

    return serve


def until(true: Callable[[], object]) -> None:
    ends = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < ends, "it did not come to that"
        time.sleep(0.01)


def size_of(registry: Registry, name: str = "a") -> int:
    return bytes_of(registry.resolve(name).open())


def damage(registry: Registry, reference: str) -> Callable[[], int]:
    """Spoil a version; what comes back mends it."""
    weights = registry.resolve(reference).folder / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    return lambda: weights.write_bytes(whole)


# -- over HTTP


def test_a_promotion_under_load_fails_no_request_and_every_mask_is_of_the_version_it_names(
    registry, served, tmp_path
) -> None:
    done, answers = threading.Event(), list[httpx.Response]()
    with served() as here, ThreadPoolExecutor(3) as pool:
        clients = [pool.submit(asked_again_and_again, here, done, answers) for _ in range(3)]
        try:
            until(lambda: answered_last_by(answers) == "small@1")
            Registry(registry.root).promote("small", 2)
            until(lambda: answered_last_by(answers) == "small@2")
            registry.rollback("small")
            until(lambda: answered_last_by(answers) == "small@1")
        finally:
            done.set()
        for client in clients:
            client.result()
    assert {answer.status_code for answer in answers} == {200}
    masks = {(answer.headers["X-Skipseg-Model"], answer.content) for answer in answers}
    assert {reference for reference, _ in masks} == {"small@1", "small@2"}
    (tmp_path / "scan.nii.gz").write_bytes(here.scan)
    volume = read_scan(tmp_path / "scan.nii.gz")
    for reference, content in masks:
        expected = Predictor(registry.resolve(reference).open(), "cpu", "fp32").segment(volume).voxels
        found = nibabel.Nifti1Image.from_bytes(gzip.decompress(content)).dataobj
        assert np.mean(np.asarray(found) == expected) > 0.999


def asked_again_and_again(here: Served, done: threading.Event, answers: list[httpx.Response]) -> None:
    while not done.is_set():
        answers.append(here.ask("small"))


def answered_last_by(answers: list[httpx.Response]) -> str | None:
    """Which version."""
    return answers[-1].headers.get("X-Skipseg-Model") if answers else None


def test_a_version_that_is_not_live_is_loaded_for_who_asks_for_it(registry, served) -> None:
    with served() as here:
        assert here.client.get("/v1/info").json()["models"] == ["small@1"]
        assert here.answers("small@2") == "small@2"
        assert here.answers("small") == "small@1"
        info = here.client.get("/v1/info").json()
    assert info["models"] == ["small@1", "small@2"]


def test_info_tells_what_every_version_runs_on_and_why_and_the_memory(registry, served) -> None:
    with served(model_memory=10**8) as here:
        info = here.client.get("/v1/info").json()
    (told,) = info["loaded"]
    assert told["model"] == "small@1"
    assert (told["precision"], told["batch"]) == ("fp32", 1)
    assert told["backend"] in told["reason"]
    assert told["bytes"] == size_of(registry, "small") == info["model_memory"]["used_bytes"]
    assert info["model_memory"]["budget_bytes"] == 10**8


def test_with_memory_for_one_model_another_leaves_and_comes_back(pair, served) -> None:
    budget = size_of(pair) * 3 // 2
    with served(model_memory=budget) as here:
        listed = here.client.get("/v1/models").json()["models"]
        states = {model["name"]: model["state"] for model in listed if model["live"] is not None}
        assert states == {"a": "ready", "b": "not loaded"}
        for name in "ba":
            assert here.answers(name) == f"{name}@1"
            info = here.client.get("/v1/info").json()
            assert info["models"] == [f"{name}@1"]
            assert info["model_memory"]["used_bytes"] <= budget
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(here.answers, "abab" * 2)) == ["a@1", "b@1", "a@1", "b@1"] * 2


def test_a_promotion_over_http_works_with_memory_for_one_model(registry, served) -> None:
    budget = size_of(registry, "small") * 3 // 2
    with served(model_memory=budget) as here:
        assert here.answers("small") == "small@1"
        assert here.client.post("/v1/models/small/promote", json={"version": 2}).json()["live"] == 2
        assert here.answers("small") == "small@2"
        info = here.client.get("/v1/info").json()
    assert info["models"] == ["small@2"]
    assert info["model_memory"]["used_bytes"] <= budget


def test_what_a_model_took_is_free_once_it_left(pair, served) -> None:
    with served(model_memory=size_of(pair) * 3 // 2) as here:
        assert here.answers("a") == "a@1"
        held = here.server.models.loader.loaded("a@1").predictor
        left = [weakref.ref(held), weakref.ref(held.backend)]
        del held
        assert here.answers("b") == "b@1"
        until(lambda: gc.collect() >= 0 and not any(one() for one in left))


def test_a_model_that_is_larger_than_the_memory_says_so(pair, served) -> None:
    with served(model_memory=size_of(pair) - 1) as here:
        for answer in (here.client.get("/readyz"), here.ask("a")):
            assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
            assert "raise SKIPSEG_MODEL_MEMORY" in answer.json()["detail"]


def test_a_promoted_version_that_cannot_be_loaded_is_told_and_the_one_before_goes_on(registry, served) -> None:
    with served() as here:
        registry.promote("small", 2)
        damage(registry, "small@2")
        assert here.answers("small") == "small@1"
        until(lambda: here.client.get("/readyz").json()["failed"])
        ready = here.client.get("/readyz").json()
        assert ready["models"] == ["small@1"]
        assert [model["name"] for model in ready["failed"]] == ["small"]
        for word in ("small@2", "checksum", "small@1 answers meanwhile"):
            assert word in ready["failed"][0]["reason"]
        assert here.client.get("/v1/models/small").json()["state"] == "ready"
        assert here.answers("small") == "small@1"
        assert "checksum" in here.ask("small@2").json()["detail"]
        registry.rollback("small")
        assert here.answers("small") == "small@1"
        assert here.client.get("/readyz").json()["failed"] == []


def test_a_version_that_was_removed_answers_no_more(registry, served) -> None:
    with served() as here:
        assert here.answers("small@2") == "small@2"
        registry.remove("small", 2)
        assert here.ask("small@2").json()["code"] == "model_unknown"
        assert here.client.get("/v1/info").json()["models"] == ["small@1"]
        registry.remove("small", 1)
        assert here.ask("small").status_code == 404
        assert here.client.get("/v1/info").json()["models"] == []


def test_a_model_that_is_added_later_answers_without_a_restart(tmp_path, served) -> None:
    registry = registry_without_shipped(tmp_path)
    with served() as here:
        assert here.client.get("/readyz").status_code == 503
        registry.add(small_bundle(tmp_path / "late", name="late").folder)
        until(lambda: here.client.get("/readyz").status_code == 200)
        assert here.answers("late") == "late@1"


# -- without HTTP


@dataclass(frozen=True)
class Slow(ModelVersion):
    """Opens when it is let."""

    let: threading.Event

    def open(self):
        assert self.let.wait(PATIENCE_S)
        return super().open()


class SlowSeconds(Registry):
    """Second versions open when they are let."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.let = threading.Event()

    def resolve(self, reference: str) -> ModelVersion:
        found = super().resolve(reference)
        return found if found.version == 1 else Slow(found.name, found.version, found.folder, self.let)


def loaded(registry: Registry, budget: int = 10**9, places: int = 16, engine: Engine | None = None) -> LoadedModels:
    models = LoadedModels(registry, torch.device("cpu"), "exact", budget, engine or Engine(), places)
    models.start()
    until(lambda: not models.loading)
    return models


@pytest.mark.parametrize("ends", [False, True])
def test_a_version_is_ready_once_it_answered_on_the_engine_unless_the_server_ends(registry, ends) -> None:
    engine = Engine()
    if ends:
        engine.close(wait=True)
    assert len(loaded(registry, engine=engine).references()) == 1
    assert engine.tiles_run == (0 if ends else 1)
    engine.close()


async def held(models: LoadedModels, reference: str) -> tuple[str, int]:
    async with models.hold(reference) as found:
        return found.version.reference, id(found.predictor)


def test_requests_that_come_together_load_a_version_once_and_keep_nobody_else_waiting(registry) -> None:
    slow = SlowSeconds(registry.root)
    models = loaded(slow)

    async def ask() -> list[tuple[str, int]]:
        asked = [asyncio.create_task(held(models, "small@2")) for _ in range(5)]
        for _ in range(3):
            assert (await held(models, "small"))[0] == "small@1"
        asked[0].cancel()
        slow.let.set()
        return await asyncio.gather(*asked[1:])

    assert len(set(answers := asyncio.run(ask()))) == 1
    assert answers[0][0] == "small@2"


def test_the_version_before_answers_until_the_new_one_is_ready_even_where_there_is_memory_for_one(registry) -> None:
    slow = SlowSeconds(registry.root)
    models = loaded(slow, budget=size_of(registry, "small"))
    registry.promote("small", 2)
    assert models.pick("small") == "small@1"
    assert models.state("small") == "ready"
    slow.let.set()
    until(lambda: models.pick("small") == "small@2")
    assert models.references() == ("small@2",)


def test_one_that_is_used_leaves_when_its_user_is_done(pair) -> None:
    models = loaded(pair, budget=size_of(pair, "b"))

    async def ask() -> None:
        async with models.hold("a"):
            other = asyncio.create_task(held(models, "b"))
            while models.references():
                await asyncio.sleep(0.01)
            assert models.loader.memory == (size_of(pair, "a"), size_of(pair, "b"))  # those of a are not free yet
            assert not other.done()
        assert (await other)[0] == "b@1"

    asyncio.run(ask())


def test_so_many_requests_may_wait_for_models_and_no_more(registry) -> None:
    slow = SlowSeconds(registry.root)
    models = loaded(slow, places=1)

    async def ask() -> None:
        first = asyncio.create_task(held(models, "small@2"))
        await asyncio.sleep(0)
        with pytest.raises(QueueFull):
            await held(models, "small@2")
        slow.let.set()
        assert (await first)[0] == "small@2"

    asyncio.run(ask())


def test_a_registry_that_cannot_be_read_for_a_moment_changes_nothing(registry) -> None:
    models = loaded(registry)
    (registry.root / "small" / "live.json").write_text("{")
    assert models.pick("small") == "small@1"
    registry.promote("small", 1)
    assert models.pick("small") == "small@1"


def test_a_live_version_that_is_gone_before_the_next_is_loaded_does_not_answer(registry) -> None:
    slow = SlowSeconds(registry.root)
    models = loaded(slow)
    registry.promote("small", 2)
    registry.remove("small", 1)
    assert models.pick("small") == "small@2"
    with pytest.raises(ModelUnknown):
        models.pick("small@1")
    slow.let.set()


def test_what_failed_is_not_tried_again_at_once_but_later(registry, monkeypatch) -> None:
    mend = damage(registry, "small@1")
    models = loaded(registry)
    with pytest.raises(NotReady, match="checksum"):
        models.pick("small")
    mend()
    with pytest.raises(NotReady, match="checksum"):
        models.pick("small")
    monkeypatch.setattr(loading, "RETRY_S", 0.0)
    assert asyncio.run(held(models, "small"))[0] == "small@1"
    assert models.failed == {}
