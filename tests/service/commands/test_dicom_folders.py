"""``skipseg segment`` on trees of DICOM: a scan for each series, called as its folder."""

import csv
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from bundles import small_bundle, small_plan
from dicom_series import STEP, into, series
from pydicom import Dataset
from scan_files import nifti

from skipseg.models.errors import UsageError
from skipseg.models.scans.dicom.choice import SeriesChoice, SeriesRule
from skipseg.service.cli import run
from skipseg.service.commands.cases import collect

VALUES = np.random.default_rng(0).integers(0, 900, (14, 20, 18)).astype(np.int16)
PLACES = [(-10, 20, 30 + STEP * k) for k in range(len(VALUES))]


def a_series(**elements: object) -> list[Dataset]:
    return series(VALUES, PLACES, **elements)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "scans"
    into(root / "p1" / "mr", a_series(Modality="MR"))
    into(root / "p1" / "ct" / "part 1", (ct := a_series())[:6])
    into(root / "p1" / "ct" / "part 2", ct[6:])
    into(root / "p2", [*a_series(), *a_series()])
    scout = series(VALUES[:1], [(0, 0, 0)])
    scout[0].ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    scout[0].StudyInstanceUID = ct[0].StudyInstanceUID
    into(root / "p1" / "scout", scout)
    (root / "n.nii").write_bytes(nifti(VALUES))
    (root / "notes.txt").write_text("not a scan")
    return root


def names(root: Path, channels: int = 1, choice: SeriesChoice | None = None) -> list[str]:
    return sorted(str(scan.name) for scan in collect([root], channels, root / "../out", choice or SeriesChoice()))


def test_each_series_is_a_scan_called_like_its_folder(tree: Path) -> None:
    assert names(tree) == ["n", "p1/ct", "p1/mr", "p2/series-1", "p2/series-2"]
    assert names(tree / "p1" / "mr") == ["series-1"]


def test_the_models_modality_and_the_series_that_is_named_are_taken_alone(tree: Path) -> None:
    assert names(tree, choice=SeriesChoice(rules=(SeriesRule("MR"),))) == ["n", "p1/mr"]
    wanted = collect([tree / "p2"], 1, tree / "../out")[1]
    uid = wanted.read().source.series
    (found,) = collect([tree / "p2"], 1, tree / "../out", SeriesChoice(series=uid))
    assert found.files == wanted.files
    with pytest.raises(UsageError, match="none of the DICOM series"):
        names(tree / "p2", choice=SeriesChoice(rules=(SeriesRule("MR"),)))


def test_a_study_is_a_scan_of_a_model_with_several_channels(tmp_path: Path) -> None:
    made = [a_series(Modality=modality) for modality in ("MR", "CT")]
    for one in made[1]:
        one.StudyInstanceUID, one.FrameOfReferenceUID = made[0][0].StudyInstanceUID, made[0][0].FrameOfReferenceUID
    into(tmp_path / "p1" / "a", made[0])
    into(tmp_path / "p1" / "b", made[1])
    choice = SeriesChoice(rules=(SeriesRule("CT"), SeriesRule("MR")))
    (scan,) = collect([tmp_path], 2, tmp_path / "../out", choice)
    assert str(scan.name) == "p1"
    volume = scan.read()
    assert volume.channels == 2
    assert volume.source.series == ",".join(made[number][0].SeriesInstanceUID for number in (1, 0))


def test_a_damaged_slice_fails_the_series_of_its_folder_and_no_other(tree: Path) -> None:
    damaged = tree / "p1" / "mr" / "IM00003"
    damaged.write_bytes(damaged.read_bytes()[:300])
    found = {str(scan.name): scan for scan in collect([tree], 1, tree / "../out")}
    assert damaged in found["p1/mr"].files
    assert all(damaged not in scan.files for name, scan in found.items() if name != "p1/mr")


def test_the_digest_of_a_series_changes_with_any_slice(tree: Path) -> None:
    (scan,) = collect([tree / "p1" / "mr"], 1, tree / "../out")
    before = scan.sha256()
    assert scan.sha256() == before
    path = tree / "p1" / "mr" / "IM00002"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    assert scan.sha256() != before


def rows(out: Path) -> dict[str, dict[str, str]]:
    with (out / "results.csv").open(newline="") as file:
        return {row["scan"]: row for row in csv.DictReader(file)}


def test_a_tree_becomes_masks_a_failure_stays_alone_and_a_second_run_resumes(tree: Path, tmp_path: Path) -> None:
    bundle, out = small_bundle(tmp_path / "small", small_plan()).folder, tmp_path / "out"
    (tree / "p2" / "IM00020").unlink()
    shutil.rmtree(tree / "p1" / "scout")
    command = ["segment", str(bundle), str(tree), "--out", str(out), "--format", "nifti", "--device", "cpu"]
    assert run(command) == 1
    found = rows(out)
    assert {name: row["state"] for name, row in found.items()} == {
        "n": "done",
        "p1/ct": "done",
        "p1/mr": "done",
        "p2/series-1": "done",
        "p2/series-2": "failed",
    }
    assert "slices are missing" in found["p2/series-2"]["problem"]
    mask = nibabel.load(out / "p1/ct.nii.gz")
    np.testing.assert_allclose(mask.affine[:3, 3], [10, -20, 30], atol=1e-3)
    first = {path: path.stat().st_mtime_ns for path in out.rglob("*.nii*")}
    assert run([*command, "--resume", "--geometry", "resample"]) == 0
    assert rows(out)["p2/series-2"]["notes"].startswith("resampled")
    assert run([*command, "--resume", "--geometry", "resample"]) == 0
    assert set(first) < set(out.rglob("*.nii*"))


def test_one_series_of_several_goes_into_one_file(tree: Path, tmp_path: Path) -> None:
    bundle = small_bundle(tmp_path / "small", small_plan()).folder
    uid = collect([tree / "p2"], 1, tmp_path / "out")[0].read().source.series
    to = str(tmp_path / "mask.nii.gz")
    assert run(["segment", str(bundle), str(tree / "p2"), "--out", to, "--device", "cpu"]) == 2
    assert run(["segment", str(bundle), str(tree / "p2"), "--out", to, "--series", uid, "--device", "cpu"]) == 0
    assert nibabel.load(to).shape == (18, 20, 14)


@pytest.mark.parametrize("where", ["mask.nii.gz", "masks"])
def test_a_server_segments_a_folder_of_dicom(where: str, server, tree: Path, tmp_path: Path) -> None:
    out = tmp_path / where
    options = [] if where.endswith("gz") else ["--format", "nifti"]
    command = ["segment", "small", str(tree / "p1" / "mr"), "--out", str(out), "--server", server.url, *options]
    assert not run(command)
    written = out if where.endswith("gz") else out / "series-1.nii.gz"
    assert nibabel.load(written).shape == (18, 20, 14)
