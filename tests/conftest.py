"""Fixtures for all rooms."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

# Test files run beside each other: each process, and what it starts, takes its share of the cores.
_BESIDE = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
if _BESIDE > 1:
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // _BESIDE)))

REAL_DATA = Path(os.environ.get("SKIPSEG_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """``real_data("hippocampus")``: that folder of real scans; a machine without it skips the test."""

    def folder(name: str) -> Path:
        if not (REAL_DATA / name).exists():
            pytest.skip(f"no real data called {name}; SKIPSEG_TEST_DATA names the folder that holds it")
        return REAL_DATA / name

    return folder
