"""A study arrives in a real PACS, and its result comes back without anybody's hand, whoever dies meanwhile."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from dicom_senders import MadeUp, listening, until
from dicomweb_client import DICOMwebClient
from dicomweb_client.session_utils import create_session_from_user_pass
from jobs import mortal
from orthanc import PASSWORD, USER, Orthanc, orthanc

SCRIPT = Path(__file__).parents[4] / "docker" / "pacs" / "forward.lua"
PORT = 11112  # of the listener, in Orthanc's own network namespace

RULES = """
[[rules]]
name = "brains"
modality = "MR"
model = "small"
send_to = "pacs"
"""


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[Orthanc]:
    """An Orthanc that sends new series on, as docker/compose.pacs.yaml sets it up."""
    folder = tmp_path / "orthanc"
    folder.mkdir()
    modalities = {"skipseg": {"AET": "SKIPSEG", "Host": "127.0.0.1", "Port": PORT}}
    with orthanc(folder, LuaScripts=[str(SCRIPT)], DicomModalities=modalities, StableAge=1) as running:
        yield running


def web(pacs: Orthanc) -> DICOMwebClient:
    return DICOMwebClient(pacs.web, session=create_session_from_user_pass(USER, PASSWORD))


def beside(pacs: Orthanc) -> tuple[str, ...]:
    """What runs a command in Orthanc's network namespace."""
    assert pacs.process is not None
    whose = () if os.geteuid() == 0 else ("--user", "--preserve-credentials")
    return ("nsenter", "--target", str(pacs.process.pid), *whose, "--net")


def of_modality(pacs: Orthanc, modality: str) -> list[dict]:
    return web(pacs).search_for_instances(search_filters={"Modality": modality})


def test_what_came_while_nobody_listened_is_sent_with_the_next_series(data, tmp_path, pacs) -> None:
    (tmp_path / "rules.toml").write_text(RULES.replace('send_to = "pacs"', ""))
    missed, next_one = MadeUp(), MadeUp()
    web(pacs).store_instances([missed.instance(number) for number in range(3)])
    until(lambda: any(job["State"] == "Failure" for job in jobs_of(pacs)))
    with listening(data, tmp_path / "rules.toml", port=PORT, beside=beside(pacs)) as listener:
        web(pacs).store_instances([next_one.instance(number) for number in range(4)])
        until(lambda: len(listener.events("series ordered")) == 2)
        assert {told["instances"] for told in listener.events("series ordered")} == {3, 4}


def jobs_of(pacs: Orthanc) -> list[dict]:
    with pacs.client() as client:
        return client.get("/jobs?expand").json()


def test_a_study_that_arrives_is_answered_once_although_we_are_killed_in_between(data, tmp_path, pacs) -> None:
    (tmp_path / "rules.toml").write_text(RULES)
    nodes = json.dumps({"pacs": pacs.node()})
    senders = json.dumps({"ORTHANC": ["127.0.0.1"]})
    listener = {"port": PORT, "beside": beside(pacs), "dicom_nodes": nodes, "dicom_senders": senders}
    series = MadeUp()
    with mortal(data, dicom_nodes=nodes, device="cpu") as server:
        server.serve()
        with listening(data, tmp_path / "rules.toml", **listener) as first:
            web(pacs).store_instances([series.instance(number) for number in range(22)])
            until(lambda: first.events("series ordered"))
            first.kill()
        [job] = [job["id"] for job in server.get("/v1/jobs").json()["jobs"]]
        until(lambda: server.get(f"/v1/jobs/{job}").json()["state"] != "queued")
        server.kill()
        server.serve()
        with listening(data, tmp_path / "rules.toml", **listener):
            assert server.ended(job)["state"] == "succeeded"
            until(lambda: of_modality(pacs, "SEG") and of_modality(pacs, "SR"))
            time.sleep(3)  # in which a second one, or a result that goes round, would turn up
            assert [len(of_modality(pacs, modality)) for modality in ("SEG", "SR")] == [1, 1]
            assert len(server.get("/v1/jobs").json()["jobs"]) == 1
        [found] = of_modality(pacs, "SEG")
        assert found["0020000D"]["Value"] == [series.study]  # in the study that it belongs to
