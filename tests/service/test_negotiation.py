"""Which format a mask is written in."""

import pytest
from fastapi import HTTPException

from skipseg.models.errors import UsageError
from skipseg.service.negotiation import mask_format


@pytest.mark.parametrize("accept", [None, "", "*/*", "application/*", "text/html, */*;q=0.8", "image/png;q=0.1, */*"])
def test_a_client_that_takes_anything_gets_the_scans_own_format(accept: str | None) -> None:
    assert mask_format(None, accept) is None


@pytest.mark.parametrize(
    ("accept", "format"),
    [
        ("image/tiff", "tiff"),
        ("IMAGE/TIFF", "tiff"),
        ("image/*", "png"),
        ("application/json;q=0.9, application/x-nrrd", "nrrd"),
        ("application/dicom", "dicom-seg"),
        ("text/html, application/json;q=0.5", "json"),
        ("application/json;q=0, application/x-nrrd;q=0.1", "nrrd"),
    ],
)
def test_the_most_wanted_format_that_is_written_wins(accept: str, format: str) -> None:
    assert mask_format(None, accept) == format


def test_the_query_goes_before_the_header() -> None:
    assert mask_format("mha", "image/png") == "mha"


@pytest.mark.parametrize("accept", ["text/html", "image/png;q=0", "image/png;q=x", ";", "image/jpeg, text/*"])
def test_a_client_that_takes_nothing_that_is_written_is_told_what_is(accept: str) -> None:
    with pytest.raises(HTTPException, match="application/x-nifti"):
        mask_format(None, accept)


def test_an_unknown_format_is_told_which_there_are() -> None:
    with pytest.raises(UsageError, match="nifti, nrrd"):
        mask_format("docx", None)
