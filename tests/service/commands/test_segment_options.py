"""What ``skipseg segment`` may be asked beside a mask, as a person types it."""

import csv
from pathlib import Path

import nibabel
import numpy as np
import pytest
from bundles import small_bundle, small_plan
from typer.testing import CliRunner

from skipseg.service.cli import app, run


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_bundle(tmp_path_factory.mktemp("bundle") / "small", small_plan(mirrored_axes=(0,))).folder


@pytest.fixture
def segment(model, capsys):
    """Run ``skipseg segment MODEL ...``: the exit code, and what was said on standard error."""

    def typed(*words: object, model: Path = model) -> tuple[int, str]:
        code = run(["segment", str(model), *map(str, words), "--device", "cpu", "--precision", "exact"])
        return code, capsys.readouterr().err

    return typed


@pytest.fixture
def case(tmp_path: Path, make_scan) -> Path:
    path = tmp_path / "case.nii.gz"
    path.write_bytes(make_scan())
    return path


def voxels(path: Path) -> np.ndarray:
    return np.asanyarray(nibabel.load(path).dataobj)


def test_probabilities_and_uncertainty_lie_beside_the_mask_on_the_scans_grid(segment, case, tmp_path) -> None:
    out = tmp_path / "mask.nrrd"
    assert segment(case, "--out", out, "--probabilities", "--uncertainty")[0] == 0
    shares, doubt = (nibabel.load(tmp_path / f"mask.{name}.nii.gz") for name in ("probabilities", "uncertainty"))
    assert shares.affine.tobytes() == doubt.affine.tobytes() == nibabel.load(case).affine.tobytes()
    assert (shares.shape, doubt.shape) == ((20, 24, 13, 3), (20, 24, 13))
    np.testing.assert_allclose(shares.get_fdata().sum(-1), 1, atol=2e-3)
    assert 0 <= doubt.get_fdata().min() < doubt.get_fdata().max() <= 1


def test_a_batch_writes_maps_too_and_resumes_only_what_was_asked_alike(segment, case, tmp_path) -> None:
    other, out = tmp_path / "other.nii.gz", tmp_path / "out"
    other.write_bytes(case.read_bytes())
    assert segment(case, other, "--out", out, "--probabilities-as", "uint8", "--tta")[0] == 0
    names = {"case.nii.gz", "case.probabilities.nii.gz", "other.nii.gz", "other.probabilities.nii.gz"}
    assert {path.name for path in out.iterdir()} == names | {"results.csv", ".skipseg.sqlite"}
    image = nibabel.load(out / "other.probabilities.nii.gz")
    assert (image.get_data_dtype(), image.dataobj.slope) == (np.uint8, pytest.approx(1 / 255))
    assert np.array_equal(image.get_fdata().argmax(-1), voxels(out / "other.nii.gz"))
    with (out / "results.csv").open() as file:
        assert all(row["model"].endswith(" probabilities=uint8, tta") for row in csv.DictReader(file))
    (out / "case.probabilities.nii.gz").unlink()
    before = (out / "other.probabilities.nii.gz").stat().st_mtime_ns
    segment(case, other, "--out", out, "--probabilities-as", "uint8", "--tta")
    assert (out / "case.probabilities.nii.gz").exists()
    assert (out / "other.probabilities.nii.gz").stat().st_mtime_ns == before
    segment(other, "--out", out, "--probabilities", "--tta")
    assert nibabel.load(out / "other.probabilities.nii.gz").get_data_dtype() == np.float32


def test_a_roi_leaves_all_else_background(segment, case, tmp_path) -> None:
    out = tmp_path / "mask.nii.gz"
    assert segment(case, "--out", out, "--roi", "2:18,:20,3:", "--overlap", "0.6")[0] == 0
    mask = voxels(out)
    assert mask.shape == (20, 24, 13)
    assert mask[2:18, :20, 3:].any()
    mask[2:18, :20, 3:] = 0
    assert not mask.any()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--roi", "5:3,:,:"], "a roi goes from"),
        (["--roi", "5"], "a roi is x0:x1"),
        (["--overlap", "1"], "0 to below 0.95"),
        (["--probabilities-as", "float64"], "float16 or uint8"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_before_anything_is_done(segment, case, tmp_path, words, said) -> None:
    code, told = segment(case, "--out", tmp_path / "mask.nii.gz", *words)
    assert code == 2
    assert said in told
    assert not (tmp_path / "mask.nii.gz").exists()


def test_a_roi_that_one_scan_does_not_hold_fails_that_scan(segment, case, tmp_path) -> None:
    code, told = segment(case, "--out", tmp_path / "mask.nii.gz", "--roi", ":,:,5:14")
    assert code == 1
    assert "20x24x13" in told


def test_tta_of_a_model_that_was_trained_without_mirroring_is_refused(segment, case, tmp_path) -> None:
    plain = small_bundle(tmp_path / "plain").folder
    code, told = segment(case, "--out", tmp_path / "mask.nii.gz", "--tta", model=plain)
    assert code == 2
    assert "trained without" in told


def test_maps_are_written_over_no_scan_and_no_mask(segment, case, tmp_path) -> None:
    inner = tmp_path / "in"
    inner.mkdir()
    for name in ("a.nii.gz", "a.uncertainty.nii.gz"):
        (inner / name).write_bytes(case.read_bytes())
    code, told = segment(inner, "--out", tmp_path / "out", "--uncertainty")
    assert code == 2
    assert "written over a mask" in told
    code, told = segment(inner / "a.nii.gz", inner / "a.uncertainty.nii.gz", "--out", tmp_path / "out", "--tta")
    assert code == 0
    code, told = segment(inner / "a.uncertainty.nii.gz", "--out", inner / "a.nrrd", "--uncertainty")
    assert code == 2
    assert "written over the scan" in told


def test_the_help_tells_every_option() -> None:
    told = CliRunner().invoke(app, ["segment", "--help"], env={"COLUMNS": "200"}).output
    for option in ("--tta", "--overlap", "--roi", "--probabilities", "--probabilities-as", "--uncertainty"):
        assert option in told
