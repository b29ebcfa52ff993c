"""Many scans: failures are written down, the rest go on, and a second run finishes the first."""

import csv
from pathlib import Path

import nibabel
import pytest
from bundles import small_bundle

from skipseg.models.errors import UsageError
from skipseg.models.inference.predictor import Predictor
from skipseg.service.commands.batch import RESULTS, Batch
from skipseg.service.commands.cases import collect


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return Predictor(small_bundle(tmp_path_factory.mktemp("bundle") / "small"), "cpu")


@pytest.fixture
def scans(tmp_path: Path, make_scan) -> Path:
    folder = tmp_path / "scans"
    (folder / "sub").mkdir(parents=True)
    for number, name in enumerate(("a", "b", "sub/c")):
        (folder / f"{name}.nii.gz").write_bytes(make_scan((16 + number, 20, 12), seed=number))
    (folder / "broken.nii.gz").write_bytes(b"no scan at all")
    return folder


def run(predictor: Predictor, scans: Path, out: Path, resume: bool = False, model: str = "small 1", format=None):
    steps: list[tuple[int, int]] = []
    batch = Batch(predictor, model, out, format)
    batch.run(collect([scans], 1, out), resume, lambda *step: steps.append(step))
    return rows(out), steps


def rows(out: Path) -> dict[str, dict[str, str]]:
    with (out / RESULTS).open(newline="") as file:
        return {row["scan"]: row for row in csv.DictReader(file)}


def test_every_scan_has_a_row_and_every_good_one_a_mask_in_the_same_tree(predictor, scans, tmp_path) -> None:
    found, steps = run(predictor, scans, tmp_path / "out")
    assert {name: row["state"] for name, row in found.items()} == {
        "a": "done",
        "b": "done",
        "broken": "failed",
        "sub/c": "done",
    }
    assert found["sub/c"]["mask"] == "sub/c.nii.gz"
    assert found["sub/c"]["shape"] == "18x20x12"
    assert "nifti" in found["broken"]["problem"]
    assert steps[-1] == (4, 4)
    mask, scan = nibabel.load(tmp_path / "out" / "sub" / "c.nii.gz"), nibabel.load(scans / "sub" / "c.nii.gz")
    assert mask.affine.tobytes() == scan.affine.tobytes()


def test_the_table_tells_the_volume_of_every_label(predictor, scans, tmp_path) -> None:
    row = run(predictor, scans, tmp_path / "out")[0]["a"]
    mask = nibabel.load(tmp_path / "out" / "a.nii.gz")
    voxel = abs(float(nibabel.affines.voxel_sizes(mask.affine).prod()))
    for value in (1, 2):
        counted = (mask.dataobj[:] == value).sum() * voxel
        assert float(row[f"label {value} mm3"]) == pytest.approx(counted, rel=0.05)


def test_a_second_run_does_only_what_is_missing(predictor, scans, tmp_path, make_scan) -> None:
    out = tmp_path / "out"
    run(predictor, scans, out)
    (out / "b.nii.gz").unlink()
    (scans / "broken.nii.gz").write_bytes(make_scan((16, 20, 12)))
    kept = (out / "a.nii.gz").stat().st_mtime_ns
    found, _ = run(predictor, scans, out, resume=True)
    assert {row["state"] for row in found.values()} == {"done"}
    assert len(found) == 4
    assert (out / "b.nii.gz").is_file()
    assert (out / "a.nii.gz").stat().st_mtime_ns == kept


def test_masks_of_another_model_are_made_again(predictor, scans, tmp_path) -> None:
    out = tmp_path / "out"
    run(predictor, scans, out)
    made = (out / "a.nii.gz").stat().st_mtime_ns
    found, _ = run(predictor, scans, out, resume=True, model="small 2")
    assert found["a"]["model"] == "small 2"
    assert (out / "a.nii.gz").stat().st_mtime_ns > made


def test_a_row_that_was_cut_short_is_done_again(predictor, scans, tmp_path) -> None:
    out = tmp_path / "out"
    whole, _ = run(predictor, scans, out)
    text = (out / RESULTS).read_text()
    (out / RESULTS).write_text(text[: text.index("sub/c") + 9])
    found, _ = run(predictor, scans, out, resume=True)
    assert {name: row["state"] for name, row in found.items()} == {name: row["state"] for name, row in whole.items()}


def test_a_table_of_something_else_is_not_resumed(predictor, scans, tmp_path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / RESULTS).write_text("name,price\nbread,3\n")
    with pytest.raises(UsageError, match=r"results\.csv"):
        run(predictor, scans, out, resume=True)


def test_masks_come_in_the_format_that_is_asked_for(predictor, scans, tmp_path) -> None:
    found, _ = run(predictor, scans, tmp_path / "out", format="nrrd")
    assert found["a"]["mask"] == "a.nrrd"
    assert (tmp_path / "out" / "a.nrrd").read_bytes().startswith(b"NRRD")
