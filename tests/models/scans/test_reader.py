"""The format comes from the first bytes, never from the name."""

from pathlib import Path

import numpy as np
import pytest
from dicom_series import pixels, series, stored
from scan_files import RAMP, mha, nifti, nrrd, png, tiff, zipped

from skipseg.models.errors import ScanFormatUnknown, ScanTooLarge, ScanUnusable, UsageError
from skipseg.models.scans.limits import Limits
from skipseg.models.scans.reader import FORMATS, read_channels, read_scan, scan_files, scan_stem

EXAMPLES = {
    "nifti": nifti(),
    "nrrd": nrrd(),
    "mha": mha(),
    "png": png(),
    "tiff": tiff(),
    "dicom": stored(series(pixels(1, 3, 4))[0]),
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_known_whatever_the_file_is_called(name: str, tmp_path: Path) -> None:
    path = tmp_path / "scan.of_mine"
    path.write_bytes(EXAMPLES[name])
    from_path, from_bytes = read_scan(path), read_scan(EXAMPLES[name])
    assert from_path.source.format == name
    assert np.array_equal(from_path.voxels, from_bytes.voxels)


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_over_the_limit_is_refused_before_it_is_read(name: str) -> None:
    with pytest.raises(ScanTooLarge, match="at most 20 bytes"):
        read_scan(EXAMPLES[name], Limits(file_bytes=20))


@pytest.mark.parametrize("name", FORMATS)
def test_voxels_over_the_limit_are_refused(name: str) -> None:
    with pytest.raises(ScanTooLarge, match="at most 11 voxels"):
        read_scan(EXAMPLES[name], Limits(voxels=11))


def test_a_missing_file_is_the_commands_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        read_scan(tmp_path / "nothing.nii")
    with pytest.raises(ScanFormatUnknown, match="no DICOM image"):
        read_scan(tmp_path)


def test_an_error_never_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as refusal:
        read_scan(tmp_path / "jane_doe.nii")
    assert "jane" not in str(refusal.value)


def test_scans_of_one_grid_become_channels_in_order() -> None:
    volume = read_channels([nifti(RAMP), zipped(nifti(RAMP + 1)), nifti(RAMP + 2)])
    assert [int(channel.flat[0]) for channel in volume.voxels] == [0, 1, 2]


def test_scans_of_different_grids_are_refused() -> None:
    with pytest.raises(ScanUnusable, match="one grid"):
        read_channels([nifti(RAMP), nifti(RAMP, srow_x=[2, 0, 0, 0.5])])


def test_no_scan_at_all_is_refused() -> None:
    with pytest.raises(UsageError, match="at least one"):
        read_channels([])


def test_a_tree_is_searched_for_names_that_look_like_scans(tmp_path: Path) -> None:
    names = ["b.nii.gz", "a.NII", "deep/er/c.mha", "d.nrrd", "e.png", "f.tif", "g.TIFF", "notes.txt", "x.gz", "h.mhd"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.nii").mkdir()
    found = [path.relative_to(tmp_path).as_posix() for path in scan_files(tmp_path)]
    assert found == ["a.NII", "b.nii.gz", "d.nrrd", "deep/er/c.mha", "e.png", "f.tif", "g.TIFF"]


@pytest.mark.parametrize(
    ("name", "stem"), [("a.nii.gz", "a"), ("a.b.NII.GZ", "a.b"), ("a.mha", "a"), ("a", "a"), ("a.txt", "a.txt")]
)
def test_a_stem_is_the_name_without_the_suffix_of_a_scan(name: str, stem: str) -> None:
    assert scan_stem(Path("folder") / name) == stem
