"""A real PACS, and a server that knows it."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import dicom_series
import httpx
import pytest
from orthanc import Orthanc, orthanc
from pacs_studies import Study, with_small_model
from pydicom import Dataset
from servers import RunningServer, serving


@pytest.fixture(scope="session")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with orthanc(tmp_path_factory.mktemp("orthanc")) as running:
        yield running


@pytest.fixture
def put(pacs: Orthanc, tmp_path: Path) -> Callable[..., Study]:
    """Put a series into the PACS."""

    def give(datasets: list[Dataset], to: Orthanc = pacs) -> Study:
        folder = dicom_series.into(tmp_path / datasets[0].SeriesInstanceUID, datasets)
        to.give(sorted(folder.iterdir()))
        return Study(datasets[0].StudyInstanceUID, datasets[0].SeriesInstanceUID)

    return give


@pytest.fixture(scope="session")
def station(pacs: Orthanc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server beside the PACS, which it knows by both of its protocols, and under names that are wrong."""
    data = with_small_model(tmp_path_factory.mktemp("station"), shipped=True)
    wrong = tmp_path_factory.mktemp("secrets") / "password"
    wrong.write_text("guessed")
    nodes = {
        "pacs": pacs.node(),
        "archive": pacs.dimse_node(),
        "refused": {**pacs.node(), "password_file": str(wrong)},
        "nobody": {"url": "http://127.0.0.1:9/dicom-web"},
    }
    settings = {"dicom_nodes": json.dumps(nodes), "dicom_fetch_hours": 0.001, "dicom_send_hours": 0.001}
    with serving(data, threads=2, **settings) as running:
        yield running


@pytest.fixture(scope="session")
def asking(station: RunningServer) -> Iterator[httpx.Client]:
    with station.client() as client:
        yield client
