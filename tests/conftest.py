"""Fixtures for all rooms."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

# The networks of the tests are so small that a second thread costs more than it brings, above all beside other work: 40
# steps of one with 50 convolutions take 5 s with one thread, and took 89 s with two on two cores of which one was busy.
os.environ.setdefault("OMP_NUM_THREADS", "1")

REAL_DATA = Path(os.environ.get("SKIPSEG_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """``real_data("hippocampus")``: that folder of real scans; a machine without it skips the test."""

    def folder(name: str) -> Path:
        if not (REAL_DATA / name).exists():
            pytest.skip(f"no real data called {name}; SKIPSEG_TEST_DATA names the folder that holds it")
        return REAL_DATA / name

    return folder
