"""Results on their way to a PACS that is away, and from workers that are killed."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from jobs import Mortal, children, mortal, until
from orthanc import Orthanc, orthanc
from pacs_studies import block_series, with_small_model


@pytest.fixture
def moody(tmp_path: Path) -> Iterator[Orthanc]:
    """A PACS of this test's own, to be stopped."""
    folder = tmp_path / "orthanc"
    folder.mkdir()
    with orthanc(folder) as running:
        yield running


@pytest.fixture
def station(moody: Orthanc, tmp_path: Path) -> Iterator[Mortal]:
    data = with_small_model(tmp_path / "data")
    nodes = json.dumps({"pacs": moody.node()})
    with mortal(data, dicom_nodes=nodes, threads=2) as running:
        running.serve()
        yield running


def order(station: Mortal, study: str) -> str:
    asked = {"kind": "segment", "model": "small", "inputs": {"dicomweb": {"study": study}}, "send_to": "pacs"}
    answer = station.post("/v1/jobs", json=asked)
    assert answer.status_code == 202, answer.text
    return answer.json()["id"]


def delivery(station: Mortal, job: str) -> dict[str, int]:
    return station.get(f"/v1/jobs/{job}").json()["delivery"]


def test_results_survive_a_pacs_that_is_away_and_everybody_killed_and_arrive_once(
    moody: Orthanc, station: Mortal, put
) -> None:
    """Fetched late since the PACS was away; killed between outcome and delivery; sent late since it is away again."""
    study = put(block_series(6), moody).study
    moody.stop()
    job = order(station, study)
    until(lambda: "fetched later" in (station.data / "server.log").read_text())
    moody.start()
    until(lambda: bool(station.items(job)) and station.items(job)[0]["state"] != "queued")
    moody.stop()  # as a rule before the mask is made; else it has arrived already, and the rest holds as well
    assert station.ended(job)["state"] == "succeeded", station.items(job)
    station.kill()
    station.serve()
    until(lambda: "deliver" in (station.data / "server.log").read_text())
    moody.start()
    until(lambda: delivery(station, job) == {"pending": 0, "sent": 1, "given_up": 0}, within=300)
    assert [len(moody.found("Instance", Modality=kind)) for kind in ("SEG", "SR")] == [1, 1]


@pytest.mark.slow
def test_a_worker_that_dies_again_and_again_while_it_sends_leaves_one_of_each(
    moody: Orthanc, station: Mortal, put
) -> None:
    studies = [put(block_series(seed), moody).study for seed in range(10, 14)]
    jobs = [order(station, study) for study in studies]
    until(lambda: "delivered" in (station.data / "server.log").read_text())
    for _ in range(3):
        for worker in children(station.processes[0].pid):
            os.kill(worker, signal.SIGKILL)
        until(lambda: bool(children(station.processes[0].pid)))
    until(lambda: all(delivery(station, job)["sent"] == 1 for job in jobs), within=240)
    assert [len(moody.found("Instance", Modality=kind)) for kind in ("SEG", "SR")] == [4, 4]
