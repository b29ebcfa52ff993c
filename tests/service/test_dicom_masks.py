"""Masks of DICOM series over HTTP: the formats that can be asked for, and what the answer says of them."""

import io
from zipfile import ZipFile

import numpy as np
import pytest
from dicom_masks import as_dataset
from dicom_series import series, stored

PATH = "/v1/segmentations"
NAME = "Doe^Jane"


@pytest.fixture(scope="module")
def archive() -> bytes:
    """A zip of a series without several tags that DICOM needs, whose patient has a name."""
    values = np.random.default_rng(0).normal(100, 20, (13, 24, 20)).astype(np.int16)
    values[2:8, 4:12, 3:9] += 200
    file = io.BytesIO()
    with ZipFile(file, "w") as packed:
        for number, dataset in enumerate(series(values, PatientName=NAME)):
            packed.writestr(f"IM{number}", stored(dataset))
    return file.getvalue()


def post(client, archive: bytes, accept: str = "*/*", **query: str):
    answer = client.post(
        PATH, params={"model": "small", **query}, files=[("scan", ("scan.zip", archive))], headers={"Accept": accept}
    )
    assert answer.status_code == 200, answer.text
    return answer


@pytest.mark.parametrize("asked", [{}, {"accept": "application/dicom"}, {"format": "dicom-seg"}])
def test_a_series_is_answered_by_a_segmentation(client, archive: bytes, asked: dict[str, str]) -> None:
    answer = post(client, archive, **asked)
    assert answer.headers["Content-Type"] == "application/dicom"
    assert 'filename="mask.dcm"' in answer.headers["Content-Disposition"]
    found = as_dataset(answer.content)
    assert (found.Modality, found.SegmentationType, str(found.PatientName)) == ("SEG", "BINARY", NAME)
    assert found.ManufacturerModelName == "small@1"
    notes = answer.headers["X-Skipseg-Notes"]
    assert "StudyDate" in notes
    assert "Jane" not in notes


def test_a_report_over_http_is_judged_and_says_the_volumes_that_json_says(client, archive: bytes) -> None:
    report = str(as_dataset(post(client, archive, format="dicom-sr").content))
    summary = post(client, archive, format="json").json()
    assert "Trust score" in report
    assert summary["trust"] is not None
    for label in summary["labels"]:
        assert f"'{round(label['volume_ml'], 6)}'" in report


def test_contours_and_other_formats_can_be_asked_for(client, archive: bytes) -> None:
    assert as_dataset(post(client, archive, format="rtstruct").content).Modality == "RTSTRUCT"
    assert as_dataset(post(client, archive, format="dicom-seg-labelmap").content).SegmentationType == "LABELMAP"
    assert post(client, archive, format="nifti").headers["Content-Type"] == "application/x-nifti"


def test_another_scan_cannot_have_a_dicom_mask(client, scan: bytes) -> None:
    answer = client.post(PATH, params={"model": "small", "format": "dicom-seg"}, files=[("scan", ("a.nii.gz", scan))])
    assert answer.status_code == 422
    assert answer.json()["code"] == "usage"
