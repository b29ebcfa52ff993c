"""From a dataset to figures, by commands alone."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skipseg.service.cli import run
from skipseg.service.commands.plan import byte_count


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight pictures of a bright square on noise, with the square as truth."""
    folder, chance = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for number in range(8):
        truth = np.zeros((48, 56), np.uint8)
        x, y = chance.integers(4, 20, 2)
        truth[x : x + 20, y : y + 24] = 255
        picture = (chance.normal(60, 15, truth.shape) + truth // 3).clip(0, 255).astype(np.uint8)
        for part, pixels in (("images", picture), ("labels", truth)):
            (folder / part).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(folder / part / f"picture{number}.png")
    return folder


def test_a_dataset_becomes_a_bundle_and_the_bundle_figures(pictures: Path, tmp_path: Path, capfd) -> None:
    bundle, results = tmp_path / "squares", tmp_path / "results"
    kept_out = tmp_path / "kept_out.txt"
    kept_out.write_text("picture1\npicture5\n")
    assert run(["train", str(pictures), "--out", str(bundle), "--epochs", "2", "--val-cases", str(kept_out)]) == 0
    assert (bundle / "bundle.json").is_file()
    assert run(["evaluate", str(bundle), str(pictures), "--out", str(results)]) == 0
    metrics = json.loads((results / "metrics.json").read_text())
    assert [case["case"] for case in metrics["cases"]] == ["picture1", "picture5"]
    assert (results / "report.html").is_file()
    assert "mean Dice" in capfd.readouterr().out


def test_figures_of_cases_that_were_trained_on_come_with_a_warning(pictures: Path, tmp_path: Path, capfd) -> None:
    bundle, names = tmp_path / "squares", tmp_path / "names.txt"
    run(["train", str(pictures), "--out", str(bundle), "--epochs", "1", "--fold", "0"])
    trained_on = json.loads((bundle / "bundle.json").read_text())["training"]["cases"]
    names.write_text("\n".join(trained_on))
    capfd.readouterr()
    assert run(["evaluate", str(bundle), str(pictures), "--out", str(tmp_path / "r"), "--cases", str(names)]) == 0
    assert f"{len(trained_on)} of {len(trained_on)} cases were trained on" in capfd.readouterr().err


def test_cases_trained_on_are_known_again_under_any_name(pictures: Path, tmp_path: Path, capfd) -> None:
    bundle, other, names = tmp_path / "squares", tmp_path / "other", tmp_path / "names.txt"
    run(["train", str(pictures), "--out", str(bundle), "--epochs", "1", "--fold", "0"])
    training = json.loads((bundle / "bundle.json").read_text())["training"]
    learned, kept_out = training["cases"][0], training["validation_cases"][0]
    for part in ("images", "labels"):
        (other / part).mkdir(parents=True)
        shutil.copy(pictures / part / f"{learned}.png", other / part / "renamed.png")
        shutil.copy(pictures / part / f"{kept_out}.png", other / part / f"{learned}.png")  # another one, of that name
    capfd.readouterr()
    assert run(["evaluate", str(bundle), str(other), "--out", str(tmp_path / "r")]) == 0
    assert [case["case"] for case in json.loads((tmp_path / "r" / "metrics.json").read_text())["cases"]] == [learned]
    assert "1 cases are left out" in capfd.readouterr().err
    names.write_text(f"renamed\n{learned}\n")
    assert run(["evaluate", str(bundle), str(other), "--out", str(tmp_path / "r"), "--cases", str(names)]) == 0
    assert "1 of 2 cases were trained on" in capfd.readouterr().err


def test_a_plan_says_why_and_is_written_as_json(pictures: Path, tmp_path: Path, capfd) -> None:
    assert run(["plan", str(pictures), "--out", str(tmp_path / "plan.json"), "--memory", "2GB"]) == 0
    assert capfd.readouterr().out.strip()
    assert json.loads((tmp_path / "plan.json").read_text())


def test_a_plan_that_was_written_is_edited_and_given_back(pictures: Path, tmp_path: Path, capfd) -> None:
    path = tmp_path / "plan.json"
    assert run(["plan", str(pictures), "--out", str(path), "--minutes", "2"]) == 0
    choices = json.loads(path.read_text())
    path.write_text(json.dumps({**choices, "batch": 3, "learning_rate": 0.001}))
    capfd.readouterr()
    assert run(["plan", str(pictures), "--plan", str(path), "--minutes", "2"]) == 0
    assert "batch 3" in capfd.readouterr().out
    path.write_text(json.dumps({**choices, "patches": [8, 8]}))
    for command in (["plan", str(pictures)], ["train", str(pictures), "--out", str(tmp_path / "bundle")]):
        assert run([*command, "--plan", str(path)]) == 2
        told = capfd.readouterr().err
        assert "no field 'patches'" in told
        assert "Traceback" not in told


@pytest.mark.parametrize(("text", "count"), [("24GB", 24 * 10**9), ("1.5GiB", 1610612736), ("512 MiB", 2**29)])
def test_sizes_are_read_with_their_units(text: str, count: int) -> None:
    assert byte_count(text) == count


def test_gradients_are_written_down_when_asked_for(pictures: Path, tmp_path: Path) -> None:
    for wish, written in (([], []), (["--instruments"], ["instruments.csv"])):
        bundle = tmp_path / f"squares{len(wish)}"
        assert run(["train", str(pictures), "--out", str(bundle), "--epochs", "1", "--fold", "0", *wish]) == 0
        assert [path.name for path in (bundle / "evaluation").glob("*instruments*")] == written
    assert "contracting.0.0.0" in (bundle / "evaluation" / "instruments.csv").read_text()
