import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from servers import RunningServer, serving

from skipseg.service.keys.store import KeyStore

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


@dataclass(frozen=True)
class Abused:
    """A server that asks for keys, and a key for everything."""

    server: RunningServer
    key: str


@pytest.fixture(scope="module")
def abused(serving_copy: Serving, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Abused]:
    """In a process of its own, which no other file's tests ask; no worker, so that no job ever ends."""
    folder = tmp_path_factory.mktemp("abused")
    _, key = KeyStore(folder).create("abuse", ("admin",), days=1)
    with serving_copy(folder, workers=0, concurrent_requests=0, requests_per_minute=0) as server:
        yield Abused(server, key)
