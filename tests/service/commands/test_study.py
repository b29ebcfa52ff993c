"""``skipseg study`` from the command line; what it does is tested where it is done."""

from pathlib import Path

from skipseg.service.cli import run
from skipseg.training.phantoms import write_picture_dataset


def test_a_study_without_time_or_without_cases_is_one_line_on_standard_error(tmp_path: Path, capfd) -> None:
    write_picture_dataset(tmp_path / "two", cases=2, seed=0)
    wanted = ["study", str(tmp_path / "two"), "--out", str(tmp_path / "out"), "--device", "cpu"]
    assert run([*wanted, "--minutes", "0"]) == 2
    assert "--minutes must be above 0" in capfd.readouterr().err
    assert run(wanted) == 1
    said = capfd.readouterr().err
    assert "three labelled cases" in said
    assert "Traceback" not in said
