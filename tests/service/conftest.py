import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
from bundles import small_bundle, small_plan
from scan_files import nifti, zipped
from servers import RunningServer, in_thread, registry_without_shipped, serving

from skipseg.models.registry import Registry
from skipseg.service.app import create_app
from skipseg.service.settings import Settings
from skipseg.service.state import Server

OBLIQUE = np.array([[1.1, 0.2, 0, -30.5], [-0.2, 1.2, 0.1, 12.25], [0, -0.1, 2.5, 7.125], [0, 0, 0, 1]])


def scan_bytes(shape: tuple[int, int, int] = (20, 24, 13), seed: int = 0) -> bytes:
    """A compressed NIfTI of noise with a bright block, on an oblique grid."""
    chance = np.random.default_rng(seed)
    voxels = chance.normal(100, 20, shape)
    voxels[3:9, 4:12, 2:8] += 200
    return zipped(nifti(voxels.astype(np.float32), affine=OBLIQUE))


def fill(registry: Registry, folder: Path) -> None:
    """Three small models: one channel, two channels, and a 2D one."""
    for name, plan in {"small": small_plan(), "pair": small_plan(3, 2), "flat": small_plan(2)}.items():
        registry.add(small_bundle(folder / name, plan, name).folder)


@pytest.fixture(scope="session")
def make_scan() -> Callable[..., bytes]:
    return scan_bytes


@pytest.fixture(scope="session")
def scan() -> bytes:
    return scan_bytes()


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose registry holds ``small``, ``pair`` and ``flat``, all live; ``small`` has a second version."""
    folder = tmp_path_factory.mktemp("data")
    registry = registry_without_shipped(folder)
    fill(registry, tmp_path_factory.mktemp("bundles"))
    registry.add(small_bundle(tmp_path_factory.mktemp("second"), small_plan(), "small", seed=1).folder)
    return folder


@pytest.fixture(scope="session")
def server(data: Path) -> Iterator[RunningServer]:
    """The server that most tests ask: a process of its own on loopback."""
    with serving(data, threads=2) as running:
        yield running


@pytest.fixture(scope="session")
def client(server: RunningServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@dataclass(frozen=True)
class Lonely:
    """A server in this process, with one model, whose inside a test may hold on to."""

    server: Server
    client: httpx.Client


@pytest.fixture
def lonely(tmp_path: Path) -> Iterator[Lonely]:
    registry = registry_without_shipped(tmp_path)
    registry.add(small_bundle(tmp_path / "bundle").folder)
    app = create_app(Settings(data=tmp_path, device="cpu", queue_size=2, max_upload_bytes=100_000, max_voxels=50_000))
    with in_thread(app) as url, httpx.Client(base_url=url, timeout=60) as client:
        while app.state.server.models.loading:
            time.sleep(0.01)
        yield Lonely(app.state.server, client)
