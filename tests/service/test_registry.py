"""The registry over HTTP: versions come, become live, go back, go out and go, and no request is dropped meanwhile."""

import gzip
import io
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import httpx
import nibabel
import numpy as np
import pytest
from bundles import small_bundle, small_plan
from servers import PATIENCE_S, RunningServer, registry_without_shipped, serving

from skipseg.models.bundle import load_bundle
from skipseg.models.exports.export import export
from skipseg.models.inference.predictor import Predictor
from skipseg.models.networks.borrowed import SegResNetRecipe
from skipseg.models.registry import Registry
from skipseg.models.scans.reader import read_scan

MODELS = "/v1/models"


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[tuple[RunningServer, Registry]]:
    """A server whose registry was empty when it started."""
    data = tmp_path_factory.mktemp("registry")
    registry = registry_without_shipped(data)
    with serving(data, until_ready=False, threads=2, precision="exact", max_model_bytes=500_000) as server:
        yield server, registry


@pytest.fixture
def here(running) -> Iterator[httpx.Client]:
    with running[0].client() as client:
        yield client


def bundle_zip(folder: Path, inside: str = "") -> bytes:
    """A bundle's folder as a zip, its files below the folder ``inside``."""
    return zip_of({inside + path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()})


def zip_of(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def add(client: httpx.Client, content: bytes, **params: str) -> httpx.Response:
    return client.post(MODELS, params=params, files={"file": ("bundle.zip", content)})


def added(client: httpx.Client, folder: Path, name: str, seed: int = 0) -> int:
    """The number of a new version."""
    answer = add(client, bundle_zip(small_bundle(folder / f"{name} {seed}", seed=seed).folder), name=name)
    assert answer.status_code == 201, answer.text
    return answer.json()["version"]


def segmented(client: httpx.Client, scan: bytes, model: str) -> httpx.Response:
    return client.post("/v1/segmentations", params={"model": model}, files={"scan": ("scan.nii.gz", scan)})


def told(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def test_a_server_without_models_takes_its_first_one_and_serves_it(here, tmp_path, scan) -> None:
    assert here.get("/readyz").status_code == 503
    bundle = small_bundle(tmp_path / "bundle", name="first")
    answer = add(here, bundle_zip(bundle.folder, "first/"))
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"{MODELS}/first/versions/1"
    assert (answer.json()["live"], answer.json()["weights_sha256"]) == (True, bundle.manifest.weights_sha256)
    assert here.get(answer.headers["Location"]).json() == answer.json()
    assert segmented(here, scan, "first").headers["X-Skipseg-Model"] == "first@1"
    assert here.get("/readyz").status_code == 200


def test_a_candidate_waits_is_promoted_and_rolled_back_and_removed(here, tmp_path, scan) -> None:
    assert [added(here, tmp_path, "brain", seed) for seed in (1, 2)] == [1, 2]
    assert segmented(here, scan, "brain").headers["X-Skipseg-Model"] == "brain@1"
    for _ in range(2):
        answer = here.post(f"{MODELS}/brain/promote", json={"version": 2})
        assert (answer.status_code, answer.json()) == (200, {"name": "brain", "live": 2})
    assert "brain@2" in here.get("/v1/info").json()["models"]
    assert segmented(here, scan, "brain").headers["X-Skipseg-Model"] == "brain@2"
    answer = here.post(f"{MODELS}/brain/rollback", json={"leaving": 2})
    assert answer.json() == {"name": "brain", "live": 1}
    again = here.post(f"{MODELS}/brain/rollback", json={"leaving": 2})
    assert told(again) == (409, "model_conflict")
    assert told(here.post(f"{MODELS}/brain/rollback")) == (409, "model_conflict")
    assert segmented(here, scan, "brain").headers["X-Skipseg-Model"] == "brain@1"
    assert told(here.delete(f"{MODELS}/brain/versions/1")) == (409, "model_conflict")
    assert here.delete(f"{MODELS}/brain/versions/2").status_code == 204
    assert told(segmented(here, scan, "brain@2")) == (404, "model_unknown")
    assert here.get(f"{MODELS}/brain").json()["versions"] == [1]


def test_what_is_no_bundle_is_refused_with_the_reason_and_leaves_nothing(running, here, tmp_path) -> None:
    registry = running[1]
    folder = small_bundle(tmp_path / "bundle", name="refused").folder
    manifest, weights = ((folder / name).read_bytes() for name in ("bundle.json", "weights.safetensors"))
    before = sorted(registry.root.rglob("*"))
    for content, words in {
        b"no zip": "no zip file",
        bundle_zip(folder)[:-30]: "no zip file, or a damaged one",
        zip_of({"readme.txt": b""}): "expected a zip of one bundle",
        zip_of({"a/b/bundle.json": manifest}): "expected a zip of one bundle",
        zip_of({"a/bundle.json": manifest, "b/bundle.json": manifest}): "it holds 2",
        zip_of({"a/configs/metadata.json": b"{}", "a/models/model.pt": b""}): "configs/inference.json",
        zip_of({"bundle.json": manifest}): "missing or unreadable",
        zip_of({"bundle.json": manifest, "weights.safetensors": weights[:-1] + b"x"}): "checksum",
        zip_of({"bundle.json": b'{"schema_version": 9}', "weights.safetensors": weights}): "schema version 9",
        zip_of({"bundle.json": manifest, "../weights.safetensors": weights}): "leads out of the archive",
        zip_of({"bundle.json": manifest, "card": b"", "card/a": b""}): "a file's and a folder's",
    }.items():
        answer = add(here, content)
        assert told(answer) == (422, "bundle"), answer.text
        assert words in answer.json()["detail"]
    assert sorted(registry.root.rglob("*")) == before


def test_a_model_that_is_too_large_is_refused_before_it_is_unpacked(here) -> None:
    packed = io.BytesIO()
    with ZipFile(packed, "w", 8) as archive:
        archive.writestr("bundle.json", bytes(1_000_000))
    assert len(packed.getvalue()) < 10_000
    assert told(add(here, packed.getvalue())) == (413, "scan_too_large")
    assert told(add(here, bytes(600_000))) == (413, "scan_too_large")


def test_what_the_registry_does_not_have_is_not_found(here, tmp_path) -> None:
    added(here, tmp_path, "there")
    for answer in (
        here.post(f"{MODELS}/nowhere/promote", json={"version": 1}),
        here.post(f"{MODELS}/there/promote", json={"version": 9}),
        here.post(f"{MODELS}/nowhere/rollback"),
        here.get(f"{MODELS}/there/versions/9"),
        here.delete(f"{MODELS}/there/versions/9"),
        here.get(f"{MODELS}/there/versions/9/export", params={"format": "onnx"}),
    ):
        assert told(answer) == (404, "model_unknown")
    for answer in (
        here.post(f"{MODELS}/there/promote", json={"version": "two"}),
        here.post(f"{MODELS}/there/promote", json={"version": 1, "force": True}),
        here.get(f"{MODELS}/there/versions/1/export", params={"format": "keras"}),
        add(here, b"", name="../outside"),
    ):
        assert told(answer) == (422, "validation")


def test_a_page_of_another_site_changes_nothing(here, tmp_path) -> None:
    content = bundle_zip(small_bundle(tmp_path / "bundle", name="planted").folder)
    for site in ("https://elsewhere.example", "null"):
        answer = here.post(MODELS, files={"file": ("bundle.zip", content)}, headers={"Origin": site})
        assert told(answer) == (403, "forbidden")
    assert told(here.get(f"{MODELS}/planted")) == (404, "model_unknown")
    answer = here.post(
        MODELS, files={"file": ("bundle.zip", content)}, headers={"Origin": str(here.base_url).rstrip("/")}
    )
    assert answer.status_code == 201


def test_a_version_that_is_damaged_on_disk_is_not_promoted(running, here, tmp_path) -> None:
    for seed in (1, 2):
        added(here, tmp_path, "spoilt", seed)
    weights = running[1].resolve("spoilt@2").folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    answer = here.post(f"{MODELS}/spoilt/promote", json={"version": 2})
    assert told(answer) == (422, "bundle")
    assert here.get(f"{MODELS}/spoilt").json()["live"] == 1


def test_a_version_that_cannot_be_loaded_does_not_become_live(here, tmp_path, scan) -> None:
    added(here, tmp_path, "sound")
    other = small_bundle(tmp_path / "other", small_plan(classes=4), "sound")
    fields = {"labels": other.labels, "plan": other.plan}
    bundle = load_bundle(tmp_path / "sound 0")
    lying = bundle.manifest.model_copy(update=fields).model_dump_json()
    (bundle.folder / "bundle.json").write_text(lying)  # a plan that its weights do not fit
    assert add(here, bundle_zip(bundle.folder), name="sound").status_code == 201
    answer = here.post(f"{MODELS}/sound/promote", json={"version": 2})
    assert told(answer) == (503, "not_ready")
    assert "do not fit" in answer.json()["detail"]
    assert here.get(f"{MODELS}/sound").json()["live"] == 1
    assert segmented(here, scan, "sound").headers["X-Skipseg-Model"] == "sound@1"


@pytest.mark.parametrize("format", ["bundle", "monai-bundle", "onnx"])
def test_a_version_goes_out_as_a_zip(here, tmp_path, format) -> None:
    name = f"out-{format}"
    added(here, tmp_path, name)
    answer = here.get(f"{MODELS}/{name}/versions/1/export", params={"format": format})
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/zip")
    ZipFile(io.BytesIO(answer.content)).extractall(tmp_path / "got")
    got = tmp_path / "got" / f"{name}-1"
    expected = {"bundle": "bundle.json", "monai-bundle": "configs/metadata.json", "onnx": "model.onnx"}[format]
    assert (got / expected).is_file()
    if format == "bundle":
        assert add(here, answer.content, name=name).json()["version"] == 2


def test_a_monai_bundle_comes_in(here, tmp_path, scan) -> None:
    recipe = SegResNetRecipe(dimensions=3, channels=1, classes=3, features=8, down=(1, 1), up=(1,))
    export(small_bundle(tmp_path / "bundle", small_plan(network=recipe)), "monai-bundle", tmp_path / "monai")
    files = [path for path in (tmp_path / "monai").rglob("*") if path.is_file()]
    content = zip_of({f"monai/{path.relative_to(tmp_path / 'monai')}": path.read_bytes() for path in files})
    assert add(here, content, name="foreign").json()["dataset"].startswith("unknown")
    assert segmented(here, scan, "foreign").headers["X-Skipseg-Model"] == "foreign@1"


# -- under load


@dataclass(frozen=True)
class Asked:
    """One request: when it was asked and answered, and what came."""

    begin: float
    end: float
    answer: httpx.Response


@dataclass(frozen=True)
class Stretch:
    """From before a version may have become live until after it may have been followed by another."""

    version: int
    begin: float
    end: float


def test_under_load_no_request_fails_and_every_mask_is_that_of_a_version_live_meanwhile(
    running, here, tmp_path, scan
) -> None:
    server, registry = running
    added(here, tmp_path, "busy", seed=1)
    done, asked = threading.Event(), list[Asked]()
    with ThreadPoolExecutor(3) as pool:
        clients = [pool.submit(asked_again_and_again, server, scan, done, asked) for _ in range(3)]
        try:
            stretches = changed_all_the_time(here, tmp_path)
            until_answered_by(stretches[-1].version, asked)
        finally:
            done.set()
        for client in clients:
            client.result()
    assert {one.answer.status_code for one in asked} == {200}
    masks: dict[int, dict[str, set[bytes]]] = {}  # by version, and by the backend that a busy machine was found to suit
    for one in asked:
        version = version_of(one)
        live = {stretch.version for stretch in stretches if stretch.begin <= one.end and one.begin <= stretch.end}
        assert version in live
        backend = one.answer.headers["X-Skipseg-Backend"].partition(" takes")[0]
        masks.setdefault(version, {}).setdefault(backend, set()).add(one.answer.content)
    assert len(masks) >= 3
    assert {len(different) for backends in masks.values() for different in backends.values()} == {1}
    of_versions = [set.union(*backends.values()) for backends in masks.values()]
    assert len(set.union(*of_versions)) == sum(map(len, of_versions))
    (tmp_path / "scan.nii.gz").write_bytes(scan)
    content = min(next(iter(masks[registry.model("busy").live].values())))
    expected = Predictor(registry.resolve("busy").open(), "cpu", "fp32").segment(read_scan(tmp_path / "scan.nii.gz"))
    found = nibabel.Nifti1Image.from_bytes(gzip.decompress(content)).dataobj
    assert np.mean(np.asarray(found) == expected.voxels) > 0.999


def asked_again_and_again(server: RunningServer, scan: bytes, done: threading.Event, asked: list[Asked]) -> None:
    with server.client() as client:
        while not done.is_set():
            begin = time.monotonic()
            answer = segmented(client, scan, "busy")
            asked.append(Asked(begin, time.monotonic(), answer))


def version_of(one: Asked) -> int:
    """Which version answered."""
    assert one.answer.status_code == 200, one.answer.text
    return int(one.answer.headers["X-Skipseg-Model"].removeprefix("busy@"))


def until_answered_by(version: int, asked: list[Asked]) -> None:
    ends = time.monotonic() + PATIENCE_S
    while not asked or version_of(asked[-1]) != version:
        assert time.monotonic() < ends, "it answered nobody"
        time.sleep(0.01)


def changed_all_the_time(client: httpx.Client, folder: Path) -> list[Stretch]:
    """Upload, promote, roll back, promote and remove, three times over; which version was live when."""
    stretches = [Stretch(1, time.monotonic(), np.inf)]

    def live(answer: httpx.Response, asked: float) -> None:
        assert answer.status_code == 200, answer.text
        last = stretches.pop()
        stretches.append(Stretch(last.version, last.begin, time.monotonic()))
        stretches.append(Stretch(answer.json()["live"], asked, np.inf))

    def change(call: str, **body: int) -> None:
        asked = time.monotonic()
        live(client.post(f"{MODELS}/busy/{call}", json=body), asked)

    for seed in (2, 3, 4):
        before = stretches[-1].version
        version = added(client, folder, "busy", seed)
        change("promote", version=version)
        change("rollback", leaving=version)
        change("promote", version=version)
        assert client.delete(f"{MODELS}/busy/versions/{before}").status_code == 204
    return stretches
