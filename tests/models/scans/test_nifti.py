"""NIfTI files are read as nibabel reads them, and faster to say no."""

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nifti_images import nifti_images
from scan_files import RAMP, nifti, nifti_header, zipped

from skipseg.models.scans.limits import Limits
from skipseg.models.scans.nifti import read_nifti
from skipseg.models.scans.reader import read_scan


@given(nifti_images(), st.booleans())
@settings(max_examples=200, deadline=None)
def test_a_scan_is_read_exactly_as_nibabel_reads_it(image: nib.Nifti1Image, compressed: bool) -> None:
    data = image.to_bytes()
    expected = type(image).from_bytes(data)
    volume = read_nifti(zipped(data) if compressed else data, Limits())
    values = expected.get_fdata().astype(np.float32)
    assert np.array_equal(volume.geometry.affine, expected.affine)
    assert np.array_equal(volume.voxels, np.moveaxis(values.reshape(*values.shape[:3], -1), -1, 0))
    assert volume.source.compressed == compressed


def test_a_slice_of_two_dimensions_is_one_voxel_thick() -> None:
    volume = read_scan(nifti(RAMP[:, :, 0]))
    assert volume.geometry.shape == (4, 5, 1)
    assert np.array_equal(volume.voxels[0, :, :, 0], RAMP[:, :, 0])


def test_a_slice_without_thickness_is_one_mm_thick() -> None:
    volume = read_scan(nifti(RAMP[:, :, 0], sform_code=0, pixdim=[1, 2, 3, 0, 0, 0, 0, 0]))
    assert volume.geometry.spacing == (2, 3, 1)


def test_scaling_is_computed_in_double_precision() -> None:
    data = nifti(RAMP, scl_slope=0.1, scl_inter=1e6)
    slope, inter = float(np.float32(0.1)), 1e6
    assert np.array_equal(read_scan(data).voxels[0], (RAMP * slope + inter).astype(np.float32))


@pytest.mark.parametrize("slope", [0.0, np.nan])
def test_a_slope_of_zero_or_nan_means_none_is_set(slope: float) -> None:
    assert np.array_equal(read_scan(nifti(RAMP, scl_slope=slope, scl_inter=7)).voxels[0], RAMP)


def test_header_extensions_are_skipped() -> None:
    extension = b"\x20\0\0\0\x06\0\0\0" + b"patient: somebody       "
    volume = read_scan(nifti(RAMP, extension, vox_offset=352 + len(extension)))
    assert np.array_equal(volume.voxels[0], RAMP)
    assert b"somebody" not in volume.source.header


def test_a_gzip_file_may_have_several_members() -> None:
    data = nifti(RAMP)
    parts = zipped(data[:100]) + zipped(data[100:101]) + zipped(b"") + gzip.compress(data[101:])
    assert np.array_equal(read_scan(parts).voxels[0], RAMP)


def test_a_scan_larger_than_many_blocks_is_read_whole() -> None:
    voxels = np.random.default_rng(0).integers(-900, 900, (130, 121, 97)).astype(np.int16)
    assert np.array_equal(read_scan(zipped(nifti(voxels))).voxels[0], voxels)


def test_metres_and_micrometres_become_millimetres() -> None:
    assert read_scan(nifti(RAMP, xyzt_units=3)).geometry.spacing == pytest.approx((0.002, 0.003, 0.004))
    in_metres = (
        nifti_header(affine=np.diag([0.002, 0.003, 0.004, 1]), xyzt_units=1) + bytes(4) + RAMP.tobytes(order="F")
    )
    assert read_scan(in_metres).geometry.spacing == pytest.approx((2, 3, 4))


def test_forms_of_different_spaces_may_differ_and_the_sform_counts() -> None:
    data = nifti(RAMP, sform_code=4, srow_x=[-2, 0, 0, 90])
    assert read_scan(data).geometry.orientation == "LAS"


def test_forms_of_one_space_may_differ_by_rounding() -> None:
    data = nifti(RAMP, srow_x=[2, 0, 0, 0.4])
    assert read_scan(data).geometry.affine[0, 3] == np.float32(0.4)


def test_a_bad_quaternion_does_not_matter_beside_a_good_sform() -> None:
    assert read_scan(nifti(RAMP, quatern_b=2)).geometry.orientation == "RAS"


def test_a_qfac_of_zero_counts_as_one() -> None:
    volume = read_scan(nifti(RAMP, sform_code=0, pixdim=[0, 2, 3, 4, 1, 1, 1, 1]))
    assert np.array_equal(volume.geometry.affine, np.diag([2, 3, 4, 1]))


def test_a_header_without_any_spacing_is_read_as_a_voxel_a_millimetre() -> None:
    volume = read_scan(nifti(RAMP, sform_code=0, pixdim=[1, 0, 0, 0, 0, 0, 0, 0]))
    assert np.array_equal(volume.geometry.affine, np.eye(4))


def test_limits_are_the_callers(tmp_path) -> None:
    path = tmp_path / "scan.nii"
    path.write_bytes(nifti(RAMP))
    assert read_nifti(path, Limits(file_bytes=592, voxels=120, channels=1)).channels == 1


@pytest.mark.parametrize(
    "name",
    ["anatomical.nii", "functional.nii", "example4d.nii.gz", "example_nifti2.nii.gz", "reoriented_anat_moved.nii"],
)
def test_the_files_that_travel_with_nibabel_are_read_as_nibabel_reads_them(name: str) -> None:
    path = Path(nib.__file__).parent / "tests" / "data" / name
    expected, volume = nib.load(path), read_scan(path)
    values = expected.get_fdata().astype(np.float32)
    assert np.array_equal(volume.geometry.affine, expected.affine)
    assert np.array_equal(volume.voxels, np.moveaxis(values.reshape(*values.shape[:3], -1), -1, 0))
