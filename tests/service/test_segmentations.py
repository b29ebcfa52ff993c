"""A scan in, its mask out, over HTTP."""

import gzip
import io
import json
import re
from concurrent.futures import ThreadPoolExecutor

import nibabel
import numpy as np
import pytest
import torch
from PIL import Image
from scan_files import nifti, zipped
from servers import skipseg

from skipseg.models.inference.backends.eager import Eager
from skipseg.service.observing.record import STAGES

PATH = "/v1/segmentations"


def as_nifti(content: bytes) -> nibabel.Nifti1Image:
    return nibabel.Nifti1Image.from_bytes(content)


def unzipped(content: bytes) -> nibabel.Nifti1Image:
    return as_nifti(gzip.decompress(content))


def post(client, *scans: bytes, headers: dict | None = None, **query: str):
    parts = [("scan", (f"part{number}.nii.gz", scan)) for number, scan in enumerate(scans)]
    return client.post(PATH, params=query, files=parts, headers=headers)


def test_a_mask_lies_on_its_scans_grid_bit_for_bit(client, scan) -> None:
    answer = post(client, scan, model="small")
    assert answer.status_code == 200
    mask, original = unzipped(answer.content), unzipped(scan)
    assert mask.shape == original.shape
    assert mask.affine.tobytes() == original.affine.tobytes()
    assert mask.header.get_xyzt_units() == original.header.get_xyzt_units()
    assert set(np.unique(mask.dataobj)) <= {0, 1, 2}
    assert len(np.unique(mask.dataobj)) > 1


def test_a_real_scan_gets_the_mask_that_the_command_line_writes(client, data, tmp_path, real_data) -> None:
    path = next(iter(sorted((real_data("hippocampus") / "imagesTr").glob("*.nii.gz"))))
    answer = post(client, path.read_bytes(), model="small")
    assert skipseg("segment", "small", path, "--out", tmp_path / "mask.nii.gz", "--data", data).returncode == 0
    mask, original, written = unzipped(answer.content), nibabel.load(path), nibabel.load(tmp_path / "mask.nii.gz")
    assert (mask.shape, mask.affine.tobytes()) == (original.shape, original.affine.tobytes())
    assert np.array_equal(mask.dataobj, written.dataobj)
    assert mask.affine.tobytes() == written.affine.tobytes()


def test_the_answer_says_which_model_and_where_the_time_went(client, scan) -> None:
    answer = post(client, scan, model="small")
    assert answer.headers["X-Skipseg-Model"] == "small@1"
    stages = dict(re.findall(r"(\w+);dur=([\d.]+)", answer.headers["Server-Timing"]))
    assert set(stages) == set(STAGES)
    assert float(stages["network"]) > 0
    assert float(stages["read"]) > 0


def test_the_mask_is_called_mask_whatever_the_scan_was_called(client, scan) -> None:
    parts = {"scan": ("DOE^JANE.nii.gz", scan)}
    answer = client.post(PATH, params={"model": "small"}, files=parts)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="mask.nii.gz"'


def test_a_plain_scan_gets_a_plain_mask(client) -> None:
    voxels = np.random.default_rng(1).normal(size=(12, 12, 12)).astype(np.float32)
    answer = post(client, nifti(voxels), model="small")
    assert answer.headers["Content-Disposition"].endswith('mask.nii"')
    assert as_nifti(answer.content).shape == (12, 12, 12)


def test_channels_come_as_parts_in_order(client, make_scan) -> None:
    first, second = make_scan(seed=1), make_scan(seed=2)
    one, other = post(client, first, second, model="pair"), post(client, second, first, model="pair")
    assert one.status_code == other.status_code == 200
    assert one.content != other.content


def test_a_picture_gets_a_picture(client) -> None:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (37, 53), np.uint8)).save(file, "png")
    answer = post(client, file.getvalue(), model="flat")
    assert answer.headers["Content-Type"] == "image/png"
    assert Image.open(io.BytesIO(answer.content)).size == (53, 37)


@pytest.mark.parametrize(
    ("format", "media_type", "start"),
    [
        ("nifti", "application/x-nifti", b"\x1f\x8b"),
        ("nrrd", "application/x-nrrd", b"NRRD"),
        ("mha", "application/x-mha", b"ObjectType"),
        ("tiff", "image/tiff", b"II*\0"),
        ("json", "application/json", b"{"),
    ],
)
def test_a_mask_comes_in_the_format_that_is_asked_for(client, scan, format, media_type, start) -> None:
    asked = post(client, scan, model="small", format=format)
    accepted = post(client, scan, model="small", headers={"Accept": media_type})
    assert asked.headers["Content-Type"] == media_type
    assert asked.content.startswith(start)
    assert accepted.content == asked.content


def test_json_tells_the_size_of_every_label(client, scan) -> None:
    told = json.loads(post(client, scan, model="small", format="json").content)
    assert {"label 1", "label 2"} <= set(re.findall(r"label \d", json.dumps(told)))


def test_requests_at_once_are_answered_as_one_by_one(client, make_scan) -> None:
    scans = [make_scan((10 + size, 24, 13), seed=size) for size in range(6)]
    one_by_one = [post(client, scan, model="small").content for scan in scans]
    with ThreadPoolExecutor(6) as pool:
        at_once = [answer.content for answer in pool.map(lambda scan: post(client, scan, model="small"), scans)]
    assert at_once == one_by_one
    assert len(set(at_once)) == 6


def test_a_large_upload_takes_the_way_over_the_disk(client) -> None:
    voxels = np.random.default_rng(1).normal(size=(64, 80, 60)).astype(np.float32)
    scan = nifti(voxels)
    assert len(scan) > 1024**2
    answer = post(client, scan, model="small")
    assert as_nifti(answer.content).shape == (64, 80, 60)
    assert unzipped(post(client, zipped(scan), model="small").content).shape == (64, 80, 60)


# -- refusals


@pytest.mark.parametrize(
    ("query", "status", "code", "words"),
    [
        ({"model": "nobody"}, 404, "model_unknown", "small"),
        ({"model": "small@9"}, 404, "model_unknown", "9"),
        ({"model": "../small"}, 404, "model_unknown", "small"),
        ({"model": "small@" + "9" * 70}, 404, "model_unknown", "no version"),
        ({"model": "x" * 100}, 422, "validation", "80"),
        ({}, 422, "usage", "?model="),
        ({"model": "small", "format": "docx"}, 422, "usage", "nifti"),
        ({"model": "pair"}, 422, "scan_unusable", "2 channels"),
    ],
)
def test_a_wrong_request_is_refused_with_words_that_help(client, scan, query, status, code, words) -> None:
    answer = post(client, scan, **query)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert words in answer.json()["detail"]


def test_channels_on_different_grids_are_refused(client, make_scan) -> None:
    answer = post(client, make_scan((20, 24, 13)), make_scan((20, 24, 14)), model="pair")
    assert (answer.status_code, answer.json()["code"]) == (422, "scan_unusable")
    assert "one grid" in answer.json()["detail"]


def test_a_format_that_cannot_hold_the_mask_is_refused(client, scan) -> None:
    answer = post(client, scan, model="small", format="png")
    assert answer.status_code == 422
    assert "png" in answer.json()["detail"].lower()


def test_an_accept_header_that_no_mask_meets_is_refused(client, scan) -> None:
    answer = post(client, scan, model="small", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"files": {"image": ("a.nii.gz", b"x")}}, "it has: image"),
        ({"files": {"scan": (None, "text")}}, "no file part"),
        ({"data": {"scan": "text"}}, "multipart/form-data"),
        ({"content": b"raw"}, "multipart/form-data"),
    ],
)
def test_a_request_without_a_scan_is_told_how_to_send_one(client, request_, words) -> None:
    answer = client.post(PATH, params={"model": "small"}, **request_)
    assert (answer.status_code, answer.json()["code"]) == (422, "usage")
    assert words in answer.json()["detail"]
    assert "curl -F scan=@" in answer.json()["detail"]


@pytest.mark.parametrize(
    "body", [b"", b"garbage", b"--b\r\n\r\n", b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n"]
)
def test_a_form_that_is_none_is_refused(client, body) -> None:
    answer = client.post(
        PATH, params={"model": "small"}, content=body, headers={"Content-Type": "multipart/form-data; boundary=b"}
    )
    assert answer.status_code in (400, 422)
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_single_model_need_not_be_named(lonely, scan) -> None:
    answer = post(lonely.client, scan, model="small")
    unnamed = post(lonely.client, scan)
    assert unnamed.headers["X-Skipseg-Model"] == "small@1"
    assert unnamed.content == answer.content


class TooLarge(Eager):
    """Every tile is more than the memory holds."""

    def __call__(self, tiles):
        return torch.empty(1 << 60)


def test_a_scan_that_another_device_has_no_room_for_is_answered_by_the_processor_and_says_so(lonely, scan) -> None:
    def mask_and_backend() -> tuple[np.ndarray, str]:
        answer = lonely.client.post("/v1/segmentations", files={"scan": scan})
        assert answer.status_code == 200, answer.text
        mask = nibabel.Nifti1Image.from_bytes(gzip.decompress(answer.content))
        return np.asarray(mask.dataobj), answer.headers["X-Skipseg-Backend"]

    predictor = lonely.server.models.answering("small").predictor
    usual, backend = mask_and_backend()[0], predictor.backend
    predictor.backend = TooLarge(predictor.bundle.network(), torch.device("meta"), "bf16")
    moved, told = mask_and_backend()
    predictor.backend = backend
    assert told == "torch fp32"
    assert np.mean(moved == usual) > 0.99
    assert lonely.server.segmenter.room.held == 0


def test_a_scan_that_memory_does_not_suffice_for_is_refused_and_the_server_goes_on(lonely, scan) -> None:
    predictor = lonely.server.models.answering("small").predictor
    backend = predictor.backend
    predictor.backend = TooLarge(predictor.bundle.network(), torch.device("cpu"), "fp32")
    refused = lonely.client.post("/v1/segmentations", files={"scan": scan})
    predictor.backend = backend
    assert (refused.status_code, refused.json()["code"]) == (413, "scan_too_large")
    assert "memory" in refused.json()["detail"]
    assert lonely.client.post("/v1/segmentations", files={"scan": scan}).status_code == 200
    assert lonely.server.line.taken == 0
