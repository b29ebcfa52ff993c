"""A scan in any format comes back as NIfTI that says the same."""

import gzip
import io
from collections.abc import Iterable
from zipfile import ZipFile

import nibabel
import numpy as np
from dicom_series import pixels, series, stored
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from pydicom import Dataset
from scan_files import nifti

from skipseg.models.scans.geometry import Geometry
from skipseg.models.scans.nifti_volume import encode_volume
from skipseg.models.scans.reader import read_scan
from skipseg.models.scans.volume import Source, Volume

PATH = "/v1/volumes"


def as_nifti(content: bytes) -> nibabel.Nifti1Image:
    return nibabel.Nifti1Image.from_bytes(gzip.decompress(content))


def zip_of(slices: Iterable[Dataset]) -> bytes:
    packed = io.BytesIO()
    with ZipFile(packed, "w") as archive:
        for number, slice_ in enumerate(slices):
            archive.writestr(f"{number}.dcm", stored(slice_))
    return packed.getvalue()


def post(client, *scans: bytes):
    return client.post(PATH, files=[("scan", ("doe_jane", scan)) for scan in scans])


def test_a_scan_that_is_nifti_comes_back_as_it_was(client, scan) -> None:
    answer = post(client, scan)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/x-nifti")
    told, sent = as_nifti(answer.content), as_nifti(scan)
    assert told.affine.tobytes() == sent.affine.tobytes()
    assert np.array_equal(told.get_fdata(), sent.get_fdata())


def test_a_dicom_series_comes_back_on_its_grid_in_two_bytes_a_voxel(client) -> None:
    packed = zip_of(series())
    told = as_nifti(post(client, packed).content)
    assert told.get_data_dtype() == np.int16
    assert np.array_equal(told.get_fdata(), pixels().transpose(2, 1, 0))
    mask = client.post("/v1/segmentations?model=small&format=nifti", files={"scan": packed})
    assert np.allclose(told.affine, as_nifti(mask.content).affine)


def test_slices_with_a_gap_are_refused_or_interpolated_as_for_a_segmentation(client) -> None:
    positions = [(0.0, 0.0, z) for z in (0.0, 2.5, 5.0, 10.0, 12.5, 15.0)]
    packed = zip_of(series(positions=positions))
    refused = post(client, packed)
    assert (refused.status_code, refused.json()["code"]) == (422, "scan_unusable")
    resampled = client.post(PATH, params={"geometry": "resample"}, files={"scan": packed})
    mask = client.post("/v1/segmentations?model=small&format=nifti&geometry=resample", files={"scan": packed})
    assert as_nifti(resampled.content).shape == as_nifti(mask.content).shape == (9, 7, 7)


def test_a_picture_in_colours_has_three_channels(client) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(colours).save(file, "PNG")
    told = as_nifti(post(client, file.getvalue()).content)
    assert (told.shape, told.get_data_dtype()) == ((7, 5, 1, 3), np.uint8)
    assert np.array_equal(told.get_fdata()[:, :, 0], colours.transpose(1, 0, 2))


def test_what_is_refused_is_refused_as_a_segmentation_would_be(client) -> None:
    assert (post(client, b"no scan").status_code, post(client, nifti()[:400]).status_code) == (415, 400)
    assert client.post(PATH, content=b"").status_code == 422


@given(
    arrays(np.float32, (2, 3, 4, 2), elements=st.floats(-(2.0**100), 2.0**100, width=32)),
    st.sampled_from([None, 1.0, 1000.0]),
)
def test_no_value_changes_on_its_way_through_a_file(voxels: np.ndarray, whole: float | None) -> None:
    if whole is not None:
        voxels = np.rint(np.clip(voxels, -whole, whole))
    volume = Volume(voxels, Geometry((3, 4, 2), np.diag([2.0, 3.0, 4.0, 1.0])), Source("mha"))
    again = read_scan(encode_volume(volume))
    assert np.array_equal(again.voxels, voxels)
    assert np.array_equal(again.geometry.affine, volume.geometry.affine)
