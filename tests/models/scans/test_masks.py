"""A mask lies on its scan's own grid, bit for bit, in every format."""

import gzip
import io
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from nifti_images import nifti_images
from PIL import Image
from scan_files import RAMP, mha, nifti, nrrd, png, tiff, zipped

from skipseg.models.errors import UsageError
from skipseg.models.labels import Labels
from skipseg.models.scans.masks import DICOM_FORMATS, MASK_FORMATS, encode_mask, mask_suffix, write_mask
from skipseg.models.scans.reader import read_channels, read_scan
from skipseg.models.scans.volume import Mask, Volume

GRID_FIELDS = [
    *("qform_code", "sform_code", "quatern_b", "quatern_c", "quatern_d"),
    *("qoffset_x", "qoffset_y", "qoffset_z", "srow_x", "srow_y", "srow_z"),
]
PLAIN = [format for format in MASK_FORMATS if format not in DICOM_FORMATS]
SCANS = {"nifti": nifti(), "nrrd": nrrd(), "mha": mha(), "png": png(), "tiff": tiff()}


def mask_of(volume: Volume, largest: int = 3) -> Mask:
    """A mask that looks different from every side, with every label up to ``largest`` allowed."""
    values = np.arange(np.prod(volume.geometry.shape)).reshape(volume.geometry.shape) * 7 % (largest + 1)
    labels = Labels.from_names({1: "one", largest: "most"})
    return Mask(values.astype(np.uint16), volume.geometry, volume.source, labels)


def as_nifti(data: bytes) -> nib.Nifti1Image:
    plain = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    return (nib.Nifti1Image if plain[:4] == (348).to_bytes(4, "little") else nib.Nifti2Image).from_bytes(plain)


@given(nifti_images(), st.booleans())
@settings(max_examples=150, deadline=None)
def test_nibabel_finds_the_mask_where_it_finds_the_scan(image: nib.Nifti1Image, compressed: bool) -> None:
    data = image.to_bytes()
    scan = type(image).from_bytes(data)
    mask = mask_of(read_scan(zipped(data) if compressed else data))
    encoded = encode_mask(mask)
    written = as_nifti(encoded)
    assert type(written) is type(scan)
    assert written.shape == scan.shape[:3]
    assert np.array_equal(written.affine, scan.affine)
    assert np.array_equal(np.asanyarray(written.dataobj), mask.voxels)
    assert written.get_data_dtype() == np.uint8
    assert written.header.get_xyzt_units()[0] == scan.header.get_xyzt_units()[0]
    for field in GRID_FIELDS:
        assert np.array_equal(written.header[field], scan.header[field]), field
    axes = 8 if scan.ndim == 3 else 4
    assert np.array_equal(written.header["pixdim"][:axes], scan.header["pixdim"][:axes])
    assert (encoded[:2] == b"\x1f\x8b") == compressed


def test_a_slice_of_two_dimensions_stays_one() -> None:
    written = as_nifti(encode_mask(mask_of(read_scan(nifti(RAMP[:, :, 0])))))
    assert written.shape == (4, 5)


def test_labels_above_255_take_16_bits() -> None:
    mask = mask_of(read_scan(nifti()), largest=300)
    written = as_nifti(encode_mask(mask))
    assert written.get_data_dtype() == np.uint16
    assert np.array_equal(np.asanyarray(written.dataobj), mask.voxels)


def test_no_text_of_the_scan_reaches_its_mask() -> None:
    texts = {"descrip": b"Jane Doe", "aux_file": b"Jane Doe", "intent_name": b"Jane Doe", "cal_max": 900}
    scan = read_scan(nifti(db_name=b"Jane Doe", data_type=b"Jane Doe", **texts))
    for format in PLAIN:
        data = encode_mask(mask_of(scan), format) if format != "png" else b""
        assert b"Jane" not in (gzip.decompress(data) if format == "nifti" and data[:2] == b"\x1f\x8b" else data)
    header = as_nifti(encode_mask(mask_of(scan))).header
    assert (float(header["cal_max"]), header["descrip"].item()) == (0, b"")


def test_a_slope_of_the_scan_does_not_scale_its_mask() -> None:
    mask = mask_of(read_scan(nifti(scl_slope=0.5, scl_inter=3)))
    assert np.array_equal(as_nifti(encode_mask(mask)).get_fdata(), mask.voxels)


@pytest.mark.parametrize("format", PLAIN)
def test_equal_masks_are_equal_bytes(format: str) -> None:
    mask = mask_of(read_scan(png()))
    assert encode_mask(mask, format) == encode_mask(mask_of(read_scan(png())), format)


@pytest.mark.parametrize("format", SCANS)
def test_a_mask_has_the_format_of_its_scan_by_default(format: str) -> None:
    mask = mask_of(read_scan(SCANS[format]))
    again = read_scan(encode_mask(mask))
    assert again.source.format == format
    assert np.array_equal(again.voxels[0], mask.voxels)
    assert np.array_equal(again.geometry.affine, mask.geometry.affine)


@pytest.mark.parametrize("largest", [3, 300])
@pytest.mark.parametrize("format", SCANS)
@pytest.mark.parametrize("scan", SCANS)
def test_every_format_holds_the_mask_of_every_scan(scan: str, format: str, largest: int) -> None:
    mask = mask_of(read_scan(SCANS[scan]), largest)
    if format == "png" and mask.geometry.shape[2] > 1:
        with pytest.raises(UsageError, match="one slice"):
            encode_mask(mask, format)
        return
    again = read_scan(encode_mask(mask, format))
    assert np.array_equal(again.voxels[0], mask.voxels)
    if format not in ("png", "tiff"):
        assert again.geometry.distance(mask.geometry) < 1e-5


@given(nifti_images(), st.sampled_from(["nrrd", "mha"]))
@settings(max_examples=40, deadline=None)
def test_itk_finds_the_mask_of_a_nifti_scan_in_the_same_place(image: nib.Nifti1Image, format: str) -> None:
    mask = mask_of(read_scan(image.to_bytes()))
    again = read_scan(encode_mask(mask, format))
    assert again.geometry.distance(mask.geometry) < 1e-4
    assert np.array_equal(again.voxels[0], mask.voxels)


@pytest.mark.parametrize("turn", range(20))
def test_an_nrrd_mask_repeats_its_scans_grid_to_the_last_bit(turn: int, tmp_path: Path) -> None:
    rows = np.random.default_rng(turn).normal(size=(4, 3)).round(6).tolist()
    vectors = [f"({','.join(map(str, row))})" for row in rows]
    scan = nrrd(
        space="right-anterior-superior", space_directions=" ".join(vectors[:3]), space_origin=vectors[3], sizes="5 4 3"
    )
    (tmp_path / "scan.nrrd").write_bytes(scan)
    write_mask(mask_of(read_scan(scan)), tmp_path / "mask.nrrd")
    before, after = (sitk.ReadImage(str(tmp_path / name)) for name in ("scan.nrrd", "mask.nrrd"))
    assert before.GetSpacing() == after.GetSpacing()
    assert before.GetOrigin() == after.GetOrigin()
    assert before.GetDirection() == after.GetDirection()


def test_the_mask_of_a_vector_scan_has_no_channel_axis() -> None:
    scan = nrrd(
        dimension="4",
        sizes="2 5 4 3",
        kinds="list domain domain domain",
        space="left-posterior-superior",
        space_directions="none (2,0,0) (0,3,0) (0,0,4)",
        space_origin="(1,2,3)",
        data=bytes(120),
    )
    volume = read_scan(scan)
    assert volume.channels == 2
    again = read_scan(encode_mask(mask_of(volume)))
    assert again.channels == 1
    assert np.array_equal(again.geometry.affine, volume.geometry.affine)


def test_images_keep_label_values_as_pixel_values() -> None:
    for largest, mode in ((3, "L"), (300, "I;16")):
        mask = mask_of(read_scan(png()), largest)
        image = Image.open(io.BytesIO(encode_mask(mask)))
        assert image.mode == mode
        assert np.array_equal(np.asarray(image).T, mask.voxels[:, :, 0])
        assert np.array_equal(tifffile.imread(io.BytesIO(encode_mask(mask, "tiff"))).T, mask.voxels[:, :, 0])


def test_numbers_give_every_label_its_voxels_and_volume() -> None:
    scan = read_scan(nifti())
    values = np.zeros(scan.geometry.shape, np.uint8)
    values[:2, 0, 0] = 1
    mask = Mask(values, scan.geometry, scan.source, Labels.from_names({1: "core", 2: "rim"}))
    assert mask.volumes_mm3() == {"core": pytest.approx(48), "rim": 0}
    summary = json.loads(encode_mask(mask, "json"))
    assert summary["labels"] == [
        {"value": 1, "name": "core", "voxels": 2, "volume_mm3": pytest.approx(48), "volume_ml": pytest.approx(0.048)},
        {"value": 2, "name": "rim", "voxels": 0, "volume_mm3": 0, "volume_ml": 0},
    ]
    assert summary["geometry"]["shape"] == [4, 5, 6]
    assert summary["geometry"]["spacing_mm"] == [2, 3, 4]


def test_numbers_of_a_picture_have_no_volumes() -> None:
    mask = mask_of(read_scan(png()))
    assert mask.volumes_mm3() is None
    summary = json.loads(encode_mask(mask, "json"))
    assert {label["volume_mm3"] for label in summary["labels"]} == {None}


def test_several_scans_of_one_grid_get_one_mask() -> None:
    volume = read_channels([nifti(), zipped(nifti())])
    assert as_nifti(encode_mask(mask_of(volume))).shape == (4, 5, 6)


@pytest.mark.parametrize(
    ("scan", "format", "suffix"),
    [(nifti(), None, ".nii"), (zipped(nifti()), None, ".nii.gz"), (png(), None, ".png"), (png(), "nifti", ".nii.gz")],
)
def test_the_suffix_tells_what_is_in_the_file(scan: bytes, format: str | None, suffix: str) -> None:
    assert mask_suffix(mask_of(read_scan(scan)), format) == suffix


@pytest.mark.parametrize("name", ["m.nii", "m.nii.gz", "m.nrrd", "m.mha", "m.tif", "m.tiff", "m.json", "m.NII.gz"])
def test_a_written_mask_is_what_its_name_says(name: str, tmp_path: Path) -> None:
    mask = mask_of(read_scan(zipped(nifti())))
    write_mask(mask, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    if name.lower().endswith((".nii", ".nii.gz")):
        assert np.array_equal(nib.load(tmp_path / name).dataobj, mask.voxels)
    elif name != "m.json":
        assert read_scan(tmp_path / name).source.format == {"tif": "tiff"}.get(name[2:], name[2:])


def test_a_name_that_says_nothing_gets_the_scans_format(tmp_path: Path) -> None:
    write_mask(mask_of(read_scan(png())), tmp_path / "mask")
    assert read_scan(tmp_path / "mask").source.format == "png"


def test_a_mask_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "mask.nii").mkdir()
    with pytest.raises(OSError, match=r"mask\.nii"):
        write_mask(mask_of(read_scan(nifti())), tmp_path / "mask.nii")
    assert [path.name for path in tmp_path.iterdir()] == ["mask.nii"]


def test_an_unknown_format_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="nifti, nrrd, mha, png, tiff, json"):
        encode_mask(mask_of(read_scan(nifti())), "jpeg")
