"""Which files are one scan, and what its mask is called."""

from pathlib import Path

import pytest

from skipseg.models.errors import ScanUnusable, UsageError
from skipseg.service.commands.cases import ScanFiles, collect


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("a.nii.gz", "sub/a.nii.gz", "sub/b.png", "notes.txt"):
        _touch(tmp_path / "tree" / name)
    return tmp_path / "tree"


def _touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def names(scans: list[ScanFiles]) -> list[str]:
    return [scan.name.as_posix() for scan in scans]


def test_a_folder_keeps_its_tree_and_leaves_out_what_is_no_scan(tree: Path) -> None:
    assert names(collect([tree], 1, tree / "../out")) == ["a", "sub/a", "sub/b"]


def test_files_are_called_by_their_own_names(tree: Path) -> None:
    assert names(collect([tree / "sub" / "b.png", tree / "a.nii.gz"], 1, tree / "out")) == ["b", "a"]


def test_masks_of_an_earlier_run_are_no_scans(tree: Path) -> None:
    _touch(tree / "masks" / "a.nii.gz")
    assert names(collect([tree], 1, tree / "masks")) == ["a", "sub/a", "sub/b"]


def test_channel_files_are_one_scan_for_a_model_of_several_channels(tmp_path: Path) -> None:
    files = [_touch(tmp_path / f"{case}_000{channel}.nii.gz") for channel in (1, 0) for case in ("x", "y")]
    as_folder, as_files = collect([tmp_path], 2, tmp_path / "out"), collect(files, 2, tmp_path / "out")
    assert names(as_folder) == names(as_files) == ["x", "y"]
    assert [file.name for file in as_files[0].files] == ["x_0000.nii.gz", "x_0001.nii.gz"]


def test_channel_files_are_scans_of_their_own_for_a_model_of_one_channel(tmp_path: Path) -> None:
    _touch(tmp_path / "x_0000.nii.gz")
    assert names(collect([tmp_path], 1, tmp_path / "out")) == ["x_0000"]


def test_a_file_that_holds_every_channel_is_a_scan(tmp_path: Path) -> None:
    file = _touch(tmp_path / "colour.png")
    (scan,) = collect([file], 3, tmp_path / "out")
    scan.check_channels(3)
    assert scan.files == (file,)


@pytest.mark.parametrize("there", [("0000",), ("0001",), ("0000", "0002"), ("0000", "0001", "0002")])
def test_missing_and_surplus_channels_are_named(tmp_path: Path, there: tuple[str, ...]) -> None:
    scan = ScanFiles(Path("x"), tuple(tmp_path / f"x_{number}.nii.gz" for number in there))
    with pytest.raises(ScanUnusable, match=f"_0000, _0001; found _{there[0]}"):
        scan.check_channels(2)


@pytest.mark.parametrize("other", ["sub/a.nii.gz", "a.png"])
def test_two_scans_of_one_name_are_refused(tree: Path, other: str) -> None:
    _touch(tree / other)
    with pytest.raises(UsageError, match="same mask"):
        collect([tree / "a.nii.gz", tree / other], 1, tree / "out")


def test_a_path_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.nii"):
        collect([tmp_path / "nowhere.nii"], 1, tmp_path / "out")


def test_a_folder_without_a_scan_is_named(tmp_path: Path) -> None:
    _touch(tmp_path / "empty" / "notes.txt")
    with pytest.raises(UsageError, match="empty"):
        collect([tmp_path / "empty"], 1, tmp_path / "out")


def test_a_folder_whose_scans_all_lie_under_the_output_is_told_so(tree: Path) -> None:
    with pytest.raises(UsageError, match="lie under --out"):
        collect([tree], 1, tree)
