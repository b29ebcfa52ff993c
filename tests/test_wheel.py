"""What is in the tree is in the wheel, and nothing else."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("models", "training", "service")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of the files in a wheel built, without network, from a copy of the tree."""
    copy = tmp_path_factory.mktemp("tree")
    for room in ROOMS:
        shutil.copytree(ROOT / room, copy / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", "dist", "."], cwd=copy, check=True)
    (built,) = (copy / "dist").glob("skipseg-*.whl")
    return {name for name in zipfile.ZipFile(built).namelist() if not name.endswith("/")}


def tree() -> set[str]:
    """The files of the rooms under their installed names; the README of a folder is for people who read the tree."""
    files = (path for room in ROOMS for path in (ROOT / room).rglob("*") if path.is_file())
    kept = (path.relative_to(ROOT) for path in files if "__pycache__" not in path.parts and path.name != "README.md")
    return {installed(path) for path in kept}


def installed(path: Path) -> str:
    """``models/plan.py`` is installed as ``skipseg/models/plan.py``, ``service/entry`` as ``skipseg`` itself."""
    if path.parts[:2] == ("service", "entry"):
        return Path("skipseg", *path.parts[2:]).as_posix()
    if path.parts[:2] == ("service", "client"):
        return Path("skipseg", *path.parts[1:]).as_posix()
    return Path("skipseg", path).as_posix()


def test_the_wheel_holds_every_file_of_the_rooms_and_no_other(wheel: set[str]) -> None:
    assert {name for name in wheel if ".dist-info/" not in name} == tree()


def test_the_wheel_carries_its_licence_and_its_command(wheel: set[str]) -> None:
    inside = {name.partition(".dist-info/")[2] for name in wheel if ".dist-info/" in name}
    assert {"licenses/LICENSE", "entry_points.txt"} <= inside
