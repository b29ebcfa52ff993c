"""Broken and hostile files are refused with the right class and words."""

import io
from contextlib import suppress

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from malformed import MALFORMED
from scan_files import mha, nifti, nrrd, png, tiff, zipped

from skipseg.models.errors import ScanError
from skipseg.models.scans.reader import read_scan


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_file_is_refused_with_words_that_help(name: str) -> None:
    case = MALFORMED[name]
    with pytest.raises(case.error) as refusal:
        read_scan(case.data)
    assert type(refusal.value) is case.error
    assert [word for word in case.words if word.lower() not in str(refusal.value).lower()] == []


def _deflated_tiff() -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, np.arange(400, dtype=np.uint16).reshape(20, 20), compression="zlib", tile=(16, 16))
    return file.getvalue()


GOOD = [nifti(), zipped(nifti()), png(), tiff(), _deflated_tiff(), nrrd(), mha()]


@given(st.sampled_from(GOOD), st.data())
@settings(max_examples=600, deadline=None)
def test_a_file_damaged_anywhere_is_read_or_refused_in_words(good: bytes, data: st.DataObject) -> None:
    damaged = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(damaged)))
        damaged[start : start + data.draw(st.integers(0, 4))] = data.draw(st.binary(max_size=4))
    with suppress(ScanError):  # any other exception would be a traceback for somebody
        assert read_scan(bytes(damaged)).channels >= 1
