import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from servers import RunningServer, serving

Serving = Callable[..., AbstractContextManager[RunningServer]]


@pytest.fixture(scope="session")
def serving_copy(data: Path) -> Serving:
    """Serve what all tests' server serves, from a folder of one's own."""

    @contextmanager
    def run(folder: Path, **settings: object) -> Iterator[RunningServer]:
        shutil.copytree(data / "models", folder / "models")
        with serving(folder, threads=2, **settings) as server:
            yield server

    return run


@pytest.fixture(scope="module")
def abused(serving_copy: Serving, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server in a process of its own, which no other file's tests ask."""
    with serving_copy(tmp_path_factory.mktemp("abused")) as server:
        yield server
