"""A mask, its numbers and its uncertainty in one answer."""

import gzip
import json
from email import message_from_bytes
from email.policy import HTTP

import nibabel
import numpy as np
import pytest

PATH = "/v1/segmentations"


def parts_of(answer) -> dict[str, bytes]:
    """The parts of a form by name."""
    head = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode()
    message = message_from_bytes(head + answer.content, policy=HTTP)
    found = {part.get_param("name", header="content-disposition"): part for part in message.iter_parts()}
    return {name: part.get_payload(decode=True) for name, part in found.items()}


def post(client, scan: bytes, **query: str):
    return client.post(PATH, params={"model": "small", **query}, files={"scan": scan})


def test_one_answer_has_what_three_would_have(client, scan) -> None:
    answer = post(client, scan, beside="summary, uncertainty")
    assert (answer.status_code, answer.headers["X-Skipseg-Model"]) == (200, "small@1")
    parts = parts_of(answer)
    assert list(parts) == ["mask", "summary", "uncertainty"]
    assert parts["mask"] == post(client, scan).content
    assert parts["summary"] == post(client, scan, format="json").content
    uncertainty = nibabel.Nifti1Image.from_bytes(gzip.decompress(parts["uncertainty"]))
    mask = nibabel.Nifti1Image.from_bytes(gzip.decompress(parts["mask"]))
    assert uncertainty.shape == mask.shape
    assert uncertainty.affine.tobytes() == mask.affine.tobytes()
    values = uncertainty.get_fdata()
    assert 0 <= values.min() <= values.max() <= 1 + 1e-6
    assert len(np.unique(values)) > 10


def test_the_numbers_say_how_far_the_mask_may_be_trusted(client, scan) -> None:
    told = json.loads(parts_of(post(client, scan, beside="summary"))["summary"])
    trust = told["trust"]
    assert 0 <= trust["score"] <= trust["certainty"] <= 1
    assert trust["entropy"] == pytest.approx(1 - trust["certainty"])
    assert any("unsure" in flag for flag in trust["flags"])  # weights are random


def test_a_mask_has_its_format_beside_other_things_too(client, scan) -> None:
    assert parts_of(post(client, scan, beside="summary", format="nrrd"))["mask"].startswith(b"NRRD")
    assert list(parts_of(post(client, scan, beside="uncertainty"))) == ["mask", "uncertainty"]


def test_what_does_not_come_beside_a_mask_is_refused(client, scan) -> None:
    answer = post(client, scan, beside="probabilities")
    assert (answer.status_code, answer.json()["code"]) == (422, "usage")
    assert "summary" in answer.json()["detail"]
