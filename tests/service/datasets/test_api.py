"""Datasets over HTTP, as a client fills them."""

from pathlib import Path

import httpx
import nibabel
import numpy as np
import pytest
from bundles import small_bundle
from scan_files import zipped
from servers import registry_without_shipped, serving
from zips import zip_of

from skipseg.training.datasets.dataset import checksum, open_dataset, read_case
from skipseg.training.phantoms import write_phantom_dataset, write_picture_dataset

EMPTY = {"labels": {"1": "rod", "2": "cone"}, "channels": ["MR"]}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    registry_without_shipped(folder).add(small_bundle(tmp_path_factory.mktemp("bundle") / "small").folder)
    return folder


@pytest.fixture(scope="module")
def client(data):
    with serving(data, threads=2) as server, server.client() as client:
        yield client


def upload(client: httpx.Client, content: bytes) -> str:
    return client.post("/v1/uploads", files={"file": ("doe_jane.zip", content)}).json()["id"]


def put(client: httpx.Client, dataset: str, case: str, image: bytes | None, label: bytes) -> httpx.Response:
    parts = [("image", ("doe_jane.nii.gz", image))] if image is not None else []
    return client.put(f"/v1/datasets/{dataset}/cases/{case}", files=[*parts, ("label", ("doe_jane.nii.gz", label))])


def test_a_mask_that_the_server_answered_with_is_corrected_and_becomes_a_case(
    client, data, make_scan, tmp_path
) -> None:
    assert client.post("/v1/datasets", json={"name": "corrected", **EMPTY}).status_code == 201
    scan = make_scan(seed=3)
    answered = client.post("/v1/segmentations", files={"scan": scan}).content
    first = put(client, "corrected", "patient-1", scan, answered)
    assert (first.status_code, first.json()["frozen"]) == (201, False)

    (tmp_path / "mask.nii.gz").write_bytes(answered)
    mask = nibabel.load(tmp_path / "mask.nii.gz")
    mended = np.asarray(mask.dataobj).copy()
    mended[3:9, 4:12, 2:8] = 2
    second = put(
        client, "corrected", "patient-1", None, zipped(nibabel.Nifti1Image(mended, None, mask.header).to_bytes())
    )
    assert second.status_code == 200
    assert second.json()["image_sha256"] == first.json()["image_sha256"]

    dataset = open_dataset(data / "datasets" / "corrected")
    assert np.array_equal(read_case(dataset, dataset.cases[0])[1], mended)
    told = client.get("/v1/datasets/corrected").json()
    assert told["checksum"] == checksum(dataset)
    assert [(entry["who"], entry["what"]) for entry in told["trail"]] == [
        ("anonymous", "created"),
        ("anonymous", "case added"),
        ("anonymous", "case replaced"),
    ]
    assert "doe" not in client.get("/v1/datasets/corrected").text
    assert "doe" not in (data / "server.log").read_text()


@pytest.mark.parametrize("write", [write_phantom_dataset, write_picture_dataset])
@pytest.mark.parametrize("inside", ["", "Task01/"])
def test_a_zip_of_a_dataset_becomes_one_with_the_same_cases(client, data, tmp_path, write, inside) -> None:
    write(tmp_path / "dataset", cases=3, seed=0)
    sent = open_dataset(tmp_path / "dataset")
    name = f"{write.__name__[6:13]}-{bool(inside)}".lower()
    answer = client.post(
        "/v1/datasets", json={"name": name, "upload": upload(client, zip_of(tmp_path / "dataset", inside))}
    )
    assert answer.status_code == 201, answer.text
    kept = open_dataset(data / "datasets" / name)
    assert (kept.labels, kept.channels) == (sent.labels, sent.channels)
    assert checksum(kept) == checksum(sent) == answer.json()["checksum"]
    assert client.get(f"/v1/datasets/{name}?check=true").json()["defects"] == []
    assert name in [one["name"] for one in client.get("/v1/datasets").json()]


def test_every_defect_of_a_zip_is_listed_and_nothing_is_kept(client, data, tmp_path) -> None:
    write_phantom_dataset(tmp_path / "dataset", cases=3, seed=0)
    (tmp_path / "dataset" / "imagesTr" / "phantom_001.nii.gz").write_bytes(b"no scan")
    (tmp_path / "dataset" / "labelsTr" / "phantom_002.nii.gz").unlink()
    sent = {"name": "broken", "upload": upload(client, zip_of(tmp_path / "dataset"))}
    answer = client.post("/v1/datasets", json=sent)
    assert (answer.status_code, answer.json()["code"]) == (422, "dataset_defects")
    assert {"unreadable", "file_missing"} <= {defect["code"] for defect in answer.json()["defects"]}
    assert str(data) not in answer.text
    assert client.get("/v1/datasets/broken").status_code == 404


def test_a_zip_that_is_no_dataset_is_refused_without_a_path_of_the_server(client, data, tmp_path) -> None:
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset" / "readme").write_text("nothing")
    answer = client.post("/v1/datasets", json={"name": "none", "upload": upload(client, zip_of(tmp_path / "dataset"))})
    assert (answer.status_code, answer.json()["defects"][0]["code"]) == (422, "not_a_dataset")
    assert str(data) not in answer.text


def test_names_that_cannot_be_kept_are_listed(client, tmp_path) -> None:
    write_picture_dataset(tmp_path / "dataset", cases=2, seed=0)
    for part in ("images", "labels"):
        (tmp_path / "dataset" / part / "picture_000.png").rename(tmp_path / "dataset" / part / "pic ture.png")
    answer = client.post("/v1/datasets", json={"name": "named", "upload": upload(client, zip_of(tmp_path / "dataset"))})
    assert [(one["code"], one["file"]) for one in answer.json()["defects"]] == [("case_name", "pic ture")]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "x"}, 422),
        ({"name": "x", "upload": "0" * 32}, 404),
        ({"name": "../x", **EMPTY}, 422),
        ({"name": "x", "upload": "0" * 32, **EMPTY}, 422),
        ({"name": "x", "labels": {"0": "background"}, "channels": ["MR"]}, 422),
        ({"name": "x", "labels": {"1": "rod", "2": "rod"}, "channels": ["MR"]}, 422),
    ],
)
def test_a_dataset_that_cannot_be_made_is_refused(client, body, status) -> None:
    answer = client.post("/v1/datasets", json=body)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert client.get("/v1/datasets/x").status_code == 404


def test_a_name_is_given_once(client) -> None:
    assert client.post("/v1/datasets", json={"name": "twice", **EMPTY}).status_code == 201
    assert client.post("/v1/datasets", json={"name": "twice", **EMPTY}).status_code == 409


def test_a_case_that_does_not_fit_is_refused_for_what_is_wrong_with_it(client, make_scan) -> None:
    client.post("/v1/datasets", json={"name": "refusing", **EMPTY})
    scan, mask = make_scan(seed=1), client.post("/v1/segmentations", files={"scan": make_scan(seed=1)}).content
    refused = {
        "other grid": put(client, "refusing", "a", make_scan((10, 10, 10)), mask),
        "not a scan": put(client, "refusing", "a", b"no scan", mask),
        "values": put(client, "refusing", "a", scan, scan),
        "no image": put(client, "refusing", "a", None, mask),
        "name": put(client, "refusing", "a.b", scan, mask),
        "no label": client.put("/v1/datasets/refusing/cases/a", files={"image": scan}),
        "no form": client.put("/v1/datasets/refusing/cases/a", content=scan),
        "no dataset": put(client, "nobody", "a", scan, mask),
    }
    statuses = {name: answer.status_code for name, answer in refused.items()}
    assert statuses == dict.fromkeys(refused, 422) | {"not a scan": 415, "no dataset": 404}
    assert client.get("/v1/datasets/refusing").json()["case_count"] == 0


def test_cases_are_frozen_and_deleted_over_http(client, make_scan) -> None:
    client.post("/v1/datasets", json={"name": "cold", **EMPTY})
    for seed in range(3):
        mask = client.post("/v1/segmentations", files={"scan": make_scan(seed=seed)}).content
        assert put(client, "cold", f"c{seed}", make_scan(seed=seed), mask).status_code == 201
    frozen = client.post("/v1/datasets/cold/freeze", json={"cases": ["c1"]})
    assert frozen.json()["frozen"]["cases"] == ["c1"]
    assert client.delete("/v1/datasets/cold/cases/c1").status_code == 409
    assert client.delete("/v1/datasets/cold/cases/c0").status_code == 204
    assert client.delete("/v1/datasets/cold/cases/c0").status_code == 404
    told = client.get("/v1/datasets/cold").json()
    assert [(case["name"], case["frozen"]) for case in told["cases"]] == [("c1", True), ("c2", False)]
    assert client.post("/v1/datasets/cold/freeze").json()["frozen"]["cases"] != []
