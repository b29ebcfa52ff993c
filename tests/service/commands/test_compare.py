"""``skipseg compare`` from the command line."""

import json
from pathlib import Path

import pytest
from bundles import small_bundle

from skipseg.models.bundle import load_bundle
from skipseg.service.cli import run
from skipseg.training.datasets.dataset import image_checksum, open_dataset
from skipseg.training.phantoms import write_phantom_dataset


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantoms")
    write_phantom_dataset(folder, 3, seed=7)
    return folder


def bundle(folder: Path, seed: int, learned: tuple[str, ...] = ()) -> str:
    made = small_bundle(folder, seed=seed)
    record = made.manifest.training.model_copy(update={"images_sha256": learned})
    manifest = made.manifest.model_copy(update={"training": record})
    (folder / "bundle.json").write_text(manifest.model_dump_json())
    load_bundle(folder)
    return str(folder)


def test_two_models_are_compared_on_cases_that_neither_learned_from(phantoms: Path, tmp_path: Path, capfd) -> None:
    first = open_dataset(phantoms).cases[0]
    models = [bundle(tmp_path / "a", 0), bundle(tmp_path / "b", 1, (image_checksum(first),))]
    assert run(["compare", *models, str(phantoms), "--out", str(tmp_path / "out")]) == 0
    said = capfd.readouterr()
    assert "1 cases are left out" in said.err
    assert "mean Dice" in said.out
    found = json.loads((tmp_path / "out/comparison.json").read_text())
    assert sorted(case["case"] for case in found["cases"]) == ["phantom_001", "phantom_002"]
    assert (tmp_path / "out/report.html").is_file()


def test_cases_that_one_of_them_learned_from_come_with_a_warning(phantoms: Path, tmp_path: Path, capfd) -> None:
    first = open_dataset(phantoms).cases[0]
    models = [bundle(tmp_path / "a", 0), bundle(tmp_path / "b", 1, (image_checksum(first),))]
    (tmp_path / "names.txt").write_text("phantom_000\nphantom_001\n")
    options = ["--out", str(tmp_path / "out"), "--cases", str(tmp_path / "names.txt")]
    assert run(["compare", *models, str(phantoms), *options]) == 0
    assert "1 of 2 cases were trained on" in capfd.readouterr().err
    assert json.loads((tmp_path / "out/comparison.json").read_text())["learned"] == {"a": [], "b": ["phantom_000"]}
    assert "was trained on 1 of these cases" in (tmp_path / "out/report.html").read_text()


def test_intervals_are_drawn_over_the_groups_of_a_file(phantoms: Path, tmp_path: Path) -> None:
    models = [bundle(tmp_path / "a", 0), bundle(tmp_path / "b", 1)]
    rows = ["case,group", *(f"phantom_00{number},one" for number in range(3))]
    (tmp_path / "groups.csv").write_text("\n".join(rows))
    options = ["--out", str(tmp_path / "out"), "--groups", str(tmp_path / "groups.csv")]
    assert run(["compare", *models, str(phantoms), *options]) == 0
    assert json.loads((tmp_path / "out/comparison.json").read_text())["mean"]["dice"]["interval"] is None
