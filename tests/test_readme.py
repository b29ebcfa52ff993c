"""What the README says works: its commands are run in order, on files such as the demo leaves."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from servers import serving

from skipseg.training.phantoms import write_phantom_dataset

pytestmark = pytest.mark.timeout(1800)  # its commands take minutes on a slow machine

ROOT = Path(__file__).parents[1]
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("[!.]*/**/*.md") if ".venv" not in path.parts)
PAGES += sorted(path.name for path in ROOT.glob("*.md"))


def blocks(language: str) -> list[str]:
    """The contents of the README's code blocks in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / "README.md").read_text(), flags=re.DOTALL | re.MULTILINE)


def commands() -> list[list[str]]:
    return [shlex.split(line) for block in blocks("sh") for line in block.splitlines()]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder such as `make demo` leaves, with fewer cases."""
    place = tmp_path_factory.mktemp("readme")
    write_phantom_dataset(place / "demo" / "phantoms", cases=5, seed=1)
    write_phantom_dataset(place / "demo" / "unseen", cases=2, seed=50)
    shutil.copy(place / "demo" / "unseen" / "imagesTr" / "phantom_000.nii.gz", place / "demo" / "scan.nii.gz")
    return place


@pytest.fixture(scope="module")
def used(place: Path) -> Iterator[Path]:
    """The same folder after every command of the README, the training shortened, the server on a free port."""
    environment = {**os.environ, "SKIPSEG_DATA": str(place / "data")}
    (place / "data").mkdir()
    before, after = _around_serve()
    for words in before:
        _run(_shortened(words), place, environment)
    with serving(place / "data") as server:
        for words in after:
            _run([word.replace("localhost:8000", server.url) for word in words], place, environment)
    return place


def _around_serve() -> tuple[list[list[str]], list[list[str]]]:
    """The README's commands before and after the server runs."""
    own = [words for words in commands() if words[0] != "make"]
    serve = own.index(["skipseg", "serve"])
    return own[:serve], own[serve + 1 :]


def _shortened(words: list[str]) -> list[str]:
    if "--minutes" not in words:
        return words
    at = words.index("--minutes")
    return [*words[:at], "--epochs", "1", *words[at + 2 :]]


def _run(words: list[str], place: Path, environment: dict[str, str]) -> None:
    command = (
        [sys.executable, "-m", *words] if words[0] == "skipseg" else [*words, "--silent", "--show-error", "--fail"]
    )
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}\n{done.stderr}"


def test_every_command_is_one_that_these_tests_run() -> None:
    assert {words[0] for words in commands()} == {"make", "skipseg", "curl"}


def test_the_make_commands_are_targets_of_the_makefile() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert [words[1:] for words in commands() if words[0] == "make"] == [["demo"], ["test"]]
    assert {"demo", "test"} <= set(targets)


def test_the_commands_leave_what_they_promise(used: Path) -> None:
    for name in ("my-model/bundle.json", "my-model/card.md", "evaluation/report.html", "masks/results.csv"):
        assert (used / name).is_file()
    assert len(list((used / "masks").glob("*.nii.gz"))) == 2


def test_the_mask_from_the_server_lies_on_the_scans_grid(used: Path) -> None:
    scan, mask = nib.load(used / "demo" / "scan.nii.gz"), nib.load(used / "mask.nii.gz")
    assert mask.shape == scan.shape
    assert np.array_equal(mask.affine, scan.affine)


def test_the_python_of_the_readme_runs(used: Path) -> None:
    (program,) = blocks("python")
    (used / "mask.nii.gz").unlink()
    done = subprocess.run([sys.executable, "-c", program], cwd=used, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {"organ", "lesion", "vessel"} <= set(re.findall(r"'(\w+)':", done.stdout))
    assert (used / "mask.nii.gz").is_file()


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_that_exist(page: str) -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", (ROOT / page).read_text())
    assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []


@pytest.mark.parametrize("room", ["models", "training", "service"])
def test_a_rooms_readme_names_every_file_in_it(room: str) -> None:
    text = (ROOT / room / "README.md").read_text()
    there = {path.name for path in (ROOT / room).glob("*.py") if path.name != "__init__.py"}
    folders = {
        "models": [],
        "training": ["*"],
        "service": ["bundles", "middleware", "observing", "resident", "running", "waiting"],
    }
    for folder in folders[room]:  # they have no pages of their own
        there |= {path.name for path in (ROOT / room).glob(f"{folder}/**/*.py") if path.name != "__init__.py"}
    assert sorted(there - set(re.findall(r"`(\w+\.py)`", text))) == []
