"""Every dependency is pinned, and every one that users install is justified."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def name_of(requirement: str) -> str:
    """``typer>=0.29`` -> ``typer``, spelt as package indexes compare names (PEP 503)."""
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match, requirement
    return re.sub(r"[-_.]+", "-", match[0]).lower()


RUNTIME = sorted(name_of(each) for each in PROJECT["dependencies"])
EXTRAS = sorted(name_of(each) for extra in PROJECT["optional-dependencies"].values() for each in extra)


def pins() -> dict[str, str]:
    lines = (line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#"))
    return {name_of(name): version for name, version in (line.split("==") for line in lines)}


@pytest.mark.parametrize("name", [*RUNTIME, *EXTRAS])
def test_a_dependency_is_pinned(name: str) -> None:
    assert name in pins()


@pytest.mark.parametrize("name", RUNTIME)
def test_a_runtime_dependency_has_a_row_that_says_why(name: str) -> None:
    rows = re.findall(r"^\| `([^`]+)`", (ROOT / "docs" / "dependencies.md").read_text(), flags=re.MULTILINE)
    assert name in [name_of(row) for row in rows]


def test_torch_is_the_version_everything_was_measured_with() -> None:
    assert pins()["torch"] == "2.13.0"


def test_torchvision_is_nowhere() -> None:
    assert "torchvision" not in {*RUNTIME, *EXTRAS, *pins()}
