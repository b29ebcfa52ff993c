"""What docs/retraining.md tells people to type works, with a small model in the place of the one it names."""

import json
import re
import shlex
from pathlib import Path

import pytest
from bundles import small_bundle, small_plan

from skipseg.models.bundle import load_bundle
from skipseg.models.registry import Registry
from skipseg.service.cli import run
from skipseg.training.phantoms import write_phantom_dataset

PAGE = Path(__file__).parents[3] / "docs" / "retraining.md"


def commands() -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.strip().splitlines()]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_phantom_dataset(tmp_path / "more-cases", cases=3, seed=1)
    write_phantom_dataset(tmp_path / "old-cases", cases=3, seed=9)
    registry = Registry(tmp_path / "data" / "models")
    small = small_bundle(tmp_path / "small", small_plan(3, 1, 4, spacing=(3.0, 3.0, 3.0)))
    added = registry.add(small.folder, "hippocampus")
    registry.promote(added.name, added.version)
    monkeypatch.setenv("SKIPSEG_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command_of_the_page_works(place: Path) -> None:
    small = load_bundle(place / "small").manifest
    for words in commands():
        assert run([*words[1 : words.index("--minutes")], "--epochs", "1", "--device", "cpu"]) == 0
        bundle = load_bundle(place / words[words.index("--out") + 1])
        assert bundle.manifest.training.base.weights_sha256 == small.weights_sha256
        assert bundle.manifest.training.base.version == Registry(place / "data" / "models").model("hippocampus").live
        assert json.loads((bundle.folder / "evaluation" / "gains.json").read_text())["judged"]
    assert len(commands()) == 3


def test_a_model_that_is_not_there_is_named(place: Path, capfd) -> None:
    assert run(["train", "more-cases", "--from", "nobody", "--out", "out"]) == 1
    assert "nobody" in capfd.readouterr().err
