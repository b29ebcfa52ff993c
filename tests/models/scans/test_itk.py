"""NRRD and MetaImage files lie where ITK puts them."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from hypothesis import given, settings
from hypothesis import strategies as st
from scan_files import mha, nrrd
from scipy.spatial.transform import Rotation

from skipseg.models.errors import ScanError
from skipseg.models.scans.reader import read_scan

SUFFIXES = [".nrrd", ".mha"]
DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"]


def saved(image: sitk.Image, suffix: str, folder: Path, compressed: bool = True) -> Path:
    path = folder / f"scan{suffix}"
    sitk.WriteImage(image, str(path), compressed)
    return path


@given(
    st.tuples(*[st.floats(-180, 180)] * 3),
    st.tuples(*[st.floats(0.1, 9)] * 3),
    st.sampled_from(DTYPES),
    st.sampled_from(SUFFIXES),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_a_voxel_lies_where_itk_says(tmp_path_factory, turns, spacing, dtype, suffix, compressed) -> None:
    values = np.arange(60).reshape(3, 4, 5).astype(dtype)
    image = sitk.GetImageFromArray(values)
    image.SetDirection(Rotation.from_euler("xyz", turns, degrees=True).as_matrix().ravel().tolist())
    image.SetSpacing(spacing)
    image.SetOrigin((-3.25, 100, 1 / 3))
    path = saved(image, suffix, tmp_path_factory.mktemp("itk"), compressed)
    volume = read_scan(path)
    assert np.array_equal(volume.voxels[0], values.T)
    lps = image.TransformIndexToPhysicalPoint((4, 2, 1))
    ras = volume.geometry.affine @ (4, 2, 1, 1)
    assert np.allclose(ras[:3] * (-1, -1, 1), lps, atol=1e-9)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_image_of_two_dimensions_is_one_voxel_thick(suffix: str, tmp_path: Path) -> None:
    values = np.arange(20, dtype=np.uint8).reshape(4, 5)
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((0.5, 0.25))
    volume = read_scan(saved(image, suffix, tmp_path))
    assert volume.geometry.shape == (5, 4, 1)
    assert volume.geometry.spacing == (0.5, 0.25, 1)
    assert np.array_equal(volume.voxels[0, :, :, 0], values.T)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dimensions", [2, 3])
def test_vectors_become_channels(suffix: str, dimensions: int, tmp_path: Path) -> None:
    values = np.arange(120, dtype=np.int16).reshape((3, 4, 5, 2) if dimensions == 3 else (12, 5, 2))
    volume = read_scan(saved(sitk.GetImageFromArray(values, isVector=True), suffix, tmp_path))
    assert volume.channels == 2
    assert np.array_equal(volume.voxels.squeeze(), values.transpose(-1, *range(dimensions)[::-1]))


def test_a_space_of_other_directions_is_turned() -> None:
    grid = {"space_directions": "(2,0,0) (0,3,0) (0,0,4)", "space_origin": "(1,2,3)"}
    assert read_scan(nrrd(space="right-anterior-superior", **grid)).geometry.orientation == "RAS"
    assert read_scan(nrrd(space="left-posterior-superior", **grid)).geometry.orientation == "LPS"


HIDDEN = ["Offset = 1", "Offset =", "Color =", "ElementMin =", "CenterOfRotation = 1 2", "Comment =", "Foo = bar"]


@pytest.mark.parametrize("line", HIDDEN)
def test_no_line_makes_itk_open_another_file(line: str, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(bytes([99]) * 60)
    trap = mha(line, data=f"ElementDataFile = {secret}\n".encode() + bytes(60))
    naive = tmp_path / "trap.mha"
    naive.write_bytes(trap)
    with suppress(ScanError):
        assert 99 not in read_scan(trap).voxels[0, 0, 0]
        assert 99 not in read_scan(naive).voxels[0, 0, 0]


def test_itk_alone_would_open_it(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes([99]) * 60)
    trap = mha("Offset = 1", data=f"ElementDataFile = {tmp_path / 'secret'}\n".encode() + bytes(60))
    (tmp_path / "trap.mha").write_bytes(trap)
    assert (sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "trap.mha"))) == 99).all()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_notes_that_itk_carries_along_do_no_harm(suffix: str, tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(np.arange(60, dtype=np.int16).reshape(3, 4, 5))
    for key, value in {"ITK_FileNotes": "", "descrip": "Jane Doe", "dim[0]": "3", "a": "b = c : d"}.items():
        image.SetMetaData(key, value)
    volume = read_scan(saved(image, suffix, tmp_path))
    assert np.array_equal(volume.voxels[0], np.arange(60).reshape(3, 4, 5).T)
    assert "Jane" not in repr(volume.source)


@pytest.mark.parametrize("data", [nrrd("# a comment", "key:=value: with colon"), mha(Comment="hello = you")])
def test_comments_and_keys_of_ones_own_are_let_through(data: bytes) -> None:
    assert read_scan(data).geometry.shape == (5, 4, 3)


def test_both_byte_orders_are_read() -> None:
    values = np.arange(60, dtype=">i2")
    big = {"ElementType": "MET_SHORT", "BinaryDataByteOrderMSB": "True"}
    assert np.array_equal(read_scan(mha(**big, data=values.tobytes())).voxels.ravel("K"), values)
    assert np.array_equal(read_scan(nrrd(type="short", endian="big", data=values.tobytes())).voxels.ravel("K"), values)
