"""DICOM over HTTP and through jobs, on a real server: a zip goes in, a mask on the slices' own grid comes out."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import nibabel as nib
import numpy as np
import pytest
from bundles import small_bundle
from dicom_series import STEP, enhanced, into, series, stored, zip_of_series, zipped
from job_calls import archive, finished, items_of, submit, upload
from pydicom import Dataset
from scan_files import nifti
from servers import RunningServer, registry_without_shipped, serving

from skipseg.client import Client

VALUES = np.random.default_rng(0).integers(0, 900, (14, 20, 18)).astype(np.int16)
AFFINE = np.array([[-0.7, 0, 0, 10], [0, -0.8, 0, -20], [0, 0, STEP, 30], [0, 0, 0, 1]])
PLACES = [(-10, 20, 30 + STEP * k) for k in range(len(VALUES))]


def a_series(number: int = 0) -> list[Dataset]:
    return series(VALUES + number, PLACES)


def post(client: httpx.Client, data: bytes, model: str = "small", **asked: str) -> httpx.Response:
    params = {"model": model, "format": "nifti", **asked}
    return client.post("/v1/segmentations", params=params, files={"scan": ("s", data)})


def mask_of(content: bytes) -> nib.Nifti1Image:
    return nib.Nifti1Image.from_bytes(gzip.decompress(content))


@pytest.fixture(scope="module")
def as_nifti(client: httpx.Client) -> np.ndarray:
    """The mask of the same voxels, sent as NIfTI."""
    answer = post(client, nifti(VALUES.transpose(2, 1, 0), affine=AFFINE))
    return np.asarray(mask_of(gzip.compress(answer.content)).dataobj)


@pytest.mark.parametrize("kind", ["a zip", "an enhanced image"])
def test_the_mask_of_a_series_is_that_of_its_voxels_on_its_grid(
    kind: str, client: httpx.Client, as_nifti: np.ndarray
) -> None:
    data = zip_of_series(a_series()[::-1], "a/b/") if kind == "a zip" else stored(enhanced(VALUES + 24, PLACES))
    answer = post(client, data)
    assert answer.status_code == 200, answer.text
    mask = mask_of(answer.content)
    np.testing.assert_allclose(mask.affine, AFFINE, atol=1e-4)
    np.testing.assert_array_equal(np.asarray(mask.dataobj), as_nifti)
    assert as_nifti.any()


def test_of_several_series_the_caller_chooses_and_is_told(client: httpx.Client) -> None:
    one, other = a_series(), a_series(5)
    study = zip_of_series([*one, *other])
    refusal = post(client, study)
    assert (refusal.status_code, refusal.json()["code"]) == (422, "scan_unusable")
    assert one[0].SeriesInstanceUID in refusal.json()["detail"]
    answer = post(client, study, series=other[0].SeriesInstanceUID)
    assert answer.headers["X-Skipseg-Series"] == other[0].SeriesInstanceUID
    assert answer.headers["X-Skipseg-Notes"] == "14 files beside the series were not used"


def test_channels_are_the_series_that_are_named_in_order(client: httpx.Client) -> None:
    one, other = a_series(), a_series(5)
    for each in other:
        each.FrameOfReferenceUID = one[0].FrameOfReferenceUID
    uids = f"{other[0].SeriesInstanceUID},{one[0].SeriesInstanceUID}"
    answer = post(client, zip_of_series([*one, *other]), "pair", series=uids)
    assert (answer.status_code, answer.headers["X-Skipseg-Series"]) == (200, uids)


def test_a_gap_is_refused_and_resampled_on_request(client: httpx.Client) -> None:
    made = a_series()
    data = zip_of_series(made[:3] + made[4:])
    refusal = post(client, data)
    assert refusal.status_code == 422
    assert "35.00 and 40.00 mm" in refusal.json()["detail"]
    answer = post(client, data, geometry="resample")
    assert mask_of(answer.content).shape == (18, 20, 14)
    assert answer.headers["X-Skipseg-Notes"].startswith("resampled: slices are missing")
    assert post(client, data, geometry="guess").status_code == 422


HOSTILE = {
    "cut short": (lambda: stored(a_series()[0])[:-99], 400),
    "no pixels": (lambda: zipped({"a": b"hello"}), 415),
    "a planet": (lambda: stored(series(VALUES[:1], PLACES[:1], Rows=65535, Columns=65535)[0]), 413),
    "climbing out": (lambda: zipped({"../a": stored(a_series()[0])}), 422),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_dicom_is_a_problem_like_any_other(name: str, client: httpx.Client) -> None:
    make, status = HOSTILE[name]
    answer = post(client, make())
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert "Doe" not in answer.text


def test_the_client_sends_a_folder_as_a_series(server: RunningServer, as_nifti: np.ndarray, tmp_path: Path) -> None:
    made = a_series()
    into(tmp_path / "study", made[:5])
    into(tmp_path / "study" / "more", made[5:])
    with Client(server.url) as client:
        mask = client.segment(tmp_path / "study", "small", "nifti")
    np.testing.assert_array_equal(np.asarray(mask_of(mask.content).dataobj), as_nifti)
    assert (mask.series, mask.notes) == (made[0].SeriesInstanceUID, ())


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree: a NIfTI file, a patient with two series in one folder, one with a series and a gap in another."""
    root = tmp_path_factory.mktemp("allowed")
    (root / "flat.nii").write_bytes(nifti(VALUES.transpose(2, 1, 0), affine=AFFINE))
    into(root / "p1", [*a_series(), *a_series(5)])
    into(root / "p2" / "mr", a_series())
    with_a_gap = a_series()
    into(root / "p2" / "ct", with_a_gap[:3] + with_a_gap[4:])
    return root


@pytest.fixture(scope="module")
def api(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    data = tmp_path_factory.mktemp("data")
    registry_without_shipped(data).add(small_bundle(tmp_path_factory.mktemp("bundle") / "small").folder)
    with serving(data, device="cpu", allowed_roots=json.dumps([str(root)])) as server, server.client() as client:
        yield client


def test_a_job_takes_each_series_of_a_tree_as_a_scan(api: httpx.Client, root: Path, as_nifti: np.ndarray) -> None:
    job = finished(api, {"folder": str(root)}, format="nifti")
    items = items_of(api, job)
    assert set(items) == {"flat", "p1/series-1", "p1/series-2", "p2/mr", "p2/ct"}
    assert {name for name, item in items.items() if item["state"] == "failed"} == {"p2/ct"}
    mask = api.get(items["p2/mr"]["mask"]).content
    np.testing.assert_array_equal(np.asarray(mask_of(mask).dataobj), as_nifti)


def test_a_job_of_a_zip_names_scans_by_folders_and_resamples_on_request(api: httpx.Client) -> None:
    files = {f"p/ct/{number}": stored(one) for number, one in enumerate(a_series()) if number != 3}
    files |= {f"p/mr/{number}": stored(one) for number, one in enumerate(a_series())}
    files["flat.nii"] = nifti(VALUES.transpose(2, 1, 0), affine=AFFINE)
    job = finished(api, {"upload": upload(api, archive(files))}, format="nifti", geometry="resample")
    items = items_of(api, job)
    assert {name: item["state"] for name, item in items.items()} == {"p/ct": "done", "p/mr": "done", "flat": "done"}
    assert items["p/ct"]["notes"][0].startswith("resampled: slices are missing")
    assert "resampled" in api.get(f"/v1/jobs/{job['id']}/results.csv").text


def test_a_job_takes_the_series_that_is_named_alone(api: httpx.Client, root: Path) -> None:
    one, other = a_series(), a_series(5)
    sent = upload(api, archive({str(n): stored(each) for n, each in enumerate([*one, *other])}))
    job = finished(api, {"upload": sent}, format="nifti", series=other[0].SeriesInstanceUID)
    assert list(items_of(api, job)) == ["series-1"]
    refusal = api.post(
        "/v1/jobs", json={"kind": "segment", "model": "small", "inputs": {"upload": sent}, "series": "1.2"}
    )
    assert (refusal.status_code, refusal.json()["code"]) == (422, "usage")


def test_a_single_dicom_file_is_a_scan_of_a_job(api: httpx.Client) -> None:
    sent = upload(api, stored(enhanced(VALUES, PLACES)), "image.dcm")
    job = submit(api, {"upload": sent}, format="nifti")
    assert job["progress"]["total"] == 1
