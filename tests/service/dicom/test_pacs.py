"""Jobs with a real PACS: a series is fetched from it, and what was found is sent back."""

import csv
import io
from collections.abc import Callable
from pathlib import Path

import dicom_series
import httpx
import numpy as np
import pytest
from dicomweb_client import DICOMwebClient
from dicomweb_client.session_utils import create_session_from_user_pass
from highdicom.seg import Segmentation
from job_calls import finished, items_of, until
from orthanc import PASSWORD, USER, Orthanc
from pacs_studies import Study, block_series
from pydicom import dcmread
from servers import RunningServer


def one_item(client: httpx.Client, job: dict) -> dict:
    (item,) = items_of(client, job).values()
    return item


def delivered(client: httpx.Client, job: dict) -> dict:
    """The item, once it is not on its way any more."""
    until(client, job["id"], lambda job: job["ended"] is not None and not job["delivery"]["pending"])
    return one_item(client, job)


def results_in(pacs: Orthanc, study: str) -> dict[str, int]:
    """How many instances of each kind a study has beside its images, as another client of DICOMweb finds them."""
    client = DICOMwebClient(pacs.web, session=create_session_from_user_pass(USER, PASSWORD))
    kinds = {"SEG", "SR", *(series["00080060"]["Value"][0] for series in client.search_for_series(study))} - {"MR"}
    return {kind: len(client.search_for_instances(study, search_filters={"Modality": kind})) for kind in kinds}


@pytest.fixture(scope="module")
def sent(pacs: Orthanc, asking: httpx.Client, tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, dict]:
    """A series that was fetched, segmented and sent back."""
    datasets = block_series()
    pacs.give(sorted(dicom_series.into(tmp_path_factory.mktemp("series") / "s", datasets).iterdir()))
    study = Study(datasets[0].StudyInstanceUID, datasets[0].SeriesInstanceUID)
    job = finished(asking, study.inputs(node="pacs"), send_to="pacs")
    assert delivered(asking, job)["sent"]["state"] == "sent", one_item(asking, job)
    return study, job


def test_a_segmentation_and_a_report_come_back_into_the_study(pacs: Orthanc, sent: tuple[Study, dict]) -> None:
    study, _ = sent
    assert results_in(pacs, study.study) == {"SEG": 1, "SR": 1}


def test_the_segmentation_in_the_pacs_is_the_mask_of_the_job(
    pacs: Orthanc, asking: httpx.Client, sent: tuple[Study, dict]
) -> None:
    study, job = sent
    mask = dcmread(io.BytesIO(asking.get(f"/v1/jobs/{job['id']}/items/0/mask").content))
    with pacs.client() as client:
        path = f"/dicom-web/studies/{study.study}/series/{mask.SeriesInstanceUID}/instances/{mask.SOPInstanceUID}"
        told = client.get(f"{path}/metadata").json()
        picture = client.get(f"{path}/frames/1/rendered", headers={"Accept": "image/png"})
    referenced = told[0]["00081115"]["Value"][0]["0020000E"]["Value"]
    assert referenced == [study.series]
    assert picture.status_code == 200
    assert picture.content.startswith(b"\x89PNG")


def test_what_became_of_it_is_told_everywhere(asking: httpx.Client, sent: tuple[Study, dict]) -> None:
    _, job = sent
    told = asking.get(f"/v1/jobs/{job['id']}").json()
    (row,) = csv.DictReader(io.StringIO(asking.get(f"/v1/jobs/{job['id']}/results.csv").text))
    assert told["delivery"] == {"pending": 0, "sent": 1, "given_up": 0}
    assert told["order"]["send_to"] == "pacs"
    assert (row["sent_to"], row["sent"], row["sent_problem"]) == ("pacs", "sent", "")


def test_the_same_again_makes_no_second_one(pacs: Orthanc, asking: httpx.Client, sent: tuple[Study, dict]) -> None:
    study, _ = sent
    again = finished(asking, study.inputs(node="pacs"), send_to="pacs")
    assert delivered(asking, again)["sent"]["state"] == "sent"
    assert results_in(pacs, study.study) == {"SEG": 1, "SR": 1}


def test_a_real_series_comes_back_with_the_volumes_that_the_job_told(
    pacs: Orthanc, asking: httpx.Client, real_data: Callable[[str], Path]
) -> None:
    """A series of a hospital's, stored and fetched over the network, by the model that ships with skipseg."""
    files = [dcmread(file) for file in sorted(real_data("dicom/hippocampus-crop-1").glob("*.dcm"))]
    client = DICOMwebClient(pacs.web, session=create_session_from_user_pass(USER, PASSWORD))
    client.store_instances(files)
    study, series = files[0].StudyInstanceUID, files[0].SeriesInstanceUID
    order = {"inputs": {"dicomweb": {"node": "pacs", "study": study, "series": series}}, "send_to": "pacs"}
    job = asking.post("/v1/jobs", json={"kind": "segment", "model": "hippocampus", **order}).json()
    item = delivered(asking, job)
    assert item["sent"]["state"] == "sent", item
    (found,) = client.search_for_instances(study, search_filters={"Modality": "SEG"})
    uids = [found[tag]["Value"][0] for tag in ("0020000E", "00080018")]
    volume = Segmentation.from_dataset(client.retrieve_instance(study, *uids)).get_volume(combine_segments=True)
    counted = [float((volume.array == segment).sum() * np.prod(volume.spacing)) for segment in (1, 2)]
    assert counted == pytest.approx(list(item["volumes_mm3"].values()), rel=1e-3)
    assert min(counted) > 500  # mm3: a hippocampus has 1,000 to 2,000 in each of its halves


def test_results_go_over_dicoms_own_protocol_too(pacs: Orthanc, asking: httpx.Client, put) -> None:
    study = put(block_series(1))
    job = finished(asking, study.inputs(node="pacs"), send_to="archive")
    assert delivered(asking, job)["sent"]["state"] == "sent", one_item(asking, job)
    assert results_in(pacs, study.study) == {"SEG": 1, "SR": 1}


def test_a_study_with_one_series_of_images_needs_no_series(pacs: Orthanc, asking: httpx.Client, sent, put) -> None:
    study, _ = sent  # which has a SEG and an SR beside it by now
    job = finished(asking, {"dicomweb": {"node": "pacs", "study": study.study}})
    assert one_item(asking, job)["state"] == "done", one_item(asking, job)


def test_of_two_series_one_must_be_named(asking: httpx.Client, put) -> None:
    first = block_series(2, SeriesDescription="Doe^Jane")
    second = block_series(3, StudyInstanceUID=first[0].StudyInstanceUID)
    study, other = put(first), put(second)
    item = one_item(asking, finished(asking, {"dicomweb": {"node": "pacs", "study": study.study}}))
    assert (item["state"], item["code"]) == ("failed", "scan_unusable")
    assert f"{study.series} (MR)" in item["problem"]
    assert f"{other.series} (MR)" in item["problem"]
    assert "Doe" not in item["problem"]


@pytest.mark.parametrize(
    ("node", "code"), [("pacs", "series_unknown"), ("refused", "node_refused"), ("nobody", "node_away")]
)
def test_a_series_that_cannot_be_had_fails_with_the_reason(asking: httpx.Client, node: str, code: str) -> None:
    job = finished(asking, {"dicomweb": {"node": node, "study": "1.2.3", "series": "1.2.3.4"}})
    item = one_item(asking, job)
    assert (job["state"], item["state"], item["code"]) == ("failed", "failed", code)


@pytest.mark.parametrize("node", ["refused", "nobody"])
def test_a_result_that_cannot_be_sent_is_there_all_the_same(asking: httpx.Client, put, node: str) -> None:
    job = finished(asking, put(block_series(4)).inputs(node="pacs"), send_to=node)
    item = delivered(asking, job)
    assert (job["state"], item["state"], item["sent"]["state"]) == ("succeeded", "done", "given_up")
    assert item["sent"]["code"] == {"refused": "node_refused", "nobody": "node_away"}[node]
    assert item["sent"]["problem"]
    assert asking.get(item["mask"]).status_code == 200


def test_what_was_given_up_is_sent_again_when_it_is_asked_for(asking: httpx.Client, put) -> None:
    job = finished(asking, put(block_series(5)).inputs(node="pacs"), send_to="nobody")
    first = delivered(asking, job)["sent"]
    assert asking.post(f"/v1/jobs/{job['id']}/retry").status_code == 202
    again = delivered(asking, job)["sent"]
    assert again["tries"] > first["tries"]


def test_the_results_of_a_scan_that_is_not_dicom_are_kept_and_not_sent(asking: httpx.Client, scan: bytes) -> None:
    upload = asking.post("/v1/uploads", files={"file": ("a.nii.gz", scan)}).json()["id"]
    job = finished(asking, {"upload": upload}, send_to="pacs")
    item = one_item(asking, job)
    assert (item["state"], item["sent"]["state"], item["sent"]["code"]) == ("done", "given_up", "usage")
    assert asking.post(f"/v1/jobs/{job['id']}/retry").status_code == 409


@pytest.mark.parametrize(
    "wrong",
    [
        {"inputs": {"dicomweb": {"node": "elsewhere", "study": "1.2"}}},
        {"inputs": {"dicomweb": {"node": "archive", "study": "1.2"}}},
        {"inputs": {"dicomweb": {"study": "1.2"}}},
        {"inputs": {"dicomweb": {"node": "pacs", "study": "../admin"}}},
        {"inputs": {"dicomweb": {"node": "http://elsewhere.example", "study": "1.2"}}},
        {"inputs": {"dicomweb": {"node": "pacs", "study": "1.2"}, "upload": "0" * 32}},
        {"inputs": {"dicomweb": {"node": "pacs", "study": "1.2"}}, "send_to": "elsewhere"},
    ],
)
def test_no_other_address_can_be_named(asking: httpx.Client, wrong: dict) -> None:
    answer = asking.post("/v1/jobs", json={"kind": "segment", "model": "small", **wrong})
    assert answer.status_code == 422, answer.text


def test_nothing_of_a_header_is_in_the_log_or_the_database(station: RunningServer, sent) -> None:
    study, _ = sent
    data = station.log.parent
    for file in (station.log, data / "jobs.sqlite", data / "jobs.sqlite-wal"):
        content = file.read_bytes() if file.exists() else b""
        for secret in ("Doe^Jane", "ID-4711-Q", study.study, study.series):
            assert secret.encode() not in content, file
