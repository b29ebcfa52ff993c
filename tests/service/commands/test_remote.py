"""``skipseg segment --server``: the same masks under the same names, made elsewhere."""

import csv
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import nibabel
import numpy as np
import pytest
from servers import environment

from skipseg.service.cli import run


@pytest.fixture
def scans(tmp_path: Path, make_scan) -> Path:
    folder = tmp_path / "scans"
    (folder / "mr").mkdir(parents=True)
    for number, name in enumerate(("a", "mr/b")):
        (folder / f"{name}.nii.gz").write_bytes(make_scan(seed=number))
    return folder


@pytest.fixture
def command(capfd, server):
    """``skipseg segment`` with the server, in this process: exit code, what it said and what it complained about."""

    def segment(*arguments: object) -> tuple[int, str, str]:
        code = run(["segment", *map(str, arguments), "--server", server.url])
        return int(code or 0), *capfd.readouterr()

    return segment


def rows(out: Path) -> dict[str, dict[str, str]]:
    with (out / "results.csv").open(newline="") as file:
        return {row["scan"]: row for row in csv.DictReader(file)}


def asked(client, scan: Path, model: str = "small", **more: str) -> bytes:
    answer = client.post("/v1/segmentations", params={"model": model, **more}, files={"scan": ("s", scan.read_bytes())})
    assert answer.status_code == 200
    return answer.content


def test_one_scan_into_a_file_is_one_request(command, client, scans, tmp_path) -> None:
    jobs = client.get("/v1/jobs").json()
    assert command("small", scans / "a.nii.gz", "--out", tmp_path / "mask.nii.gz")[0] == 0
    assert (tmp_path / "mask.nii.gz").read_bytes() == asked(client, scans / "a.nii.gz")
    assert client.get("/v1/jobs").json() == jobs


def test_the_suffix_of_the_file_decides_its_format(command, scans, tmp_path) -> None:
    for name in ("m.nrrd", "m.nii", "m.nii.gz"):
        assert command("small", scans / "a.nii.gz", "--out", tmp_path / name, "--roi", "2:9,:,:")[0] == 0
    assert (tmp_path / "m.nrrd").read_bytes().startswith(b"NRRD")
    plain, packed = nibabel.load(tmp_path / "m.nii"), nibabel.load(tmp_path / "m.nii.gz")
    assert np.array_equal(plain.dataobj[:], packed.dataobj[:])
    assert not (tmp_path / "m.nii").read_bytes().startswith(b"\x1f\x8b")


def test_a_folder_becomes_a_folder_of_masks_and_a_table(command, client, scans, tmp_path) -> None:
    code, told, complaints = command("small", scans, "--out", tmp_path / "out")
    assert (code, complaints) == (0, "")
    assert "2 of 2 scans segmented by small@1" in told
    for name in ("a", "mr/b"):
        assert (tmp_path / "out" / f"{name}.nii.gz").read_bytes() == asked(client, scans / f"{name}.nii.gz")
    assert {name: row["state"] for name, row in rows(tmp_path / "out").items()} == {"a": "done", "mr/b": "done"}


def test_a_scan_that_fails_is_named_and_the_others_have_their_masks(command, scans, tmp_path) -> None:
    (scans / "broken.nii.gz").write_bytes(b"broken")
    code, told, complaints = command("small", scans, "--out", tmp_path / "out", "--format", "nrrd")
    assert code == 1
    assert "2 of 3 scans" in told
    assert complaints.startswith("broken: ")
    assert (tmp_path / "out" / "mr" / "b.nrrd").is_file()
    assert rows(tmp_path / "out")["broken"]["code"] == "scan_format_unknown"


def test_channels_go_together(command, client, make_scan, tmp_path) -> None:
    folder = tmp_path / "pairs"
    folder.mkdir()
    for case in ("x", "y"):
        for channel in range(2):
            (folder / f"{case}_000{channel}.nii.gz").write_bytes(make_scan(seed=channel))
    assert command("pair", folder, "--out", tmp_path / "out")[0] == 0
    parts = [("scan", ("s", (folder / f"x_000{channel}.nii.gz").read_bytes())) for channel in range(2)]
    mask = client.post("/v1/segmentations?model=pair", files=parts).content
    assert (tmp_path / "out" / "x.nii.gz").read_bytes() == mask
    assert command("pair", *folder.glob("y_*"), "--out", tmp_path / "y.nii.gz")[0] == 0
    assert (tmp_path / "y.nii.gz").read_bytes() == mask


def test_a_job_is_fetched_by_the_same_command_and_by_no_other(command, client, scans, make_scan, tmp_path) -> None:
    command("small", scans, "--out", tmp_path / "first")
    job = client.get("/v1/jobs", params={"limit": 1}).json()["jobs"][0]["id"]
    assert command("small", scans, "--out", tmp_path / "again", "--job", job)[0] == 0
    assert rows(tmp_path / "again") == rows(tmp_path / "first")
    assert command("pair", scans / "a.nii.gz", "--out", tmp_path / "x", "--job", job)[0] == 2
    code, _, complaints = command("small", scans / "a.nii.gz", "--out", tmp_path / "x", "--job", job)
    assert (code, "other scans" in complaints) == (2, True)
    (scans / "a.nii.gz").write_bytes(make_scan(seed=9))
    code, _, complaints = command("small", scans, "--out", tmp_path / "x", "--job", job)
    assert (code, "changed" in complaints) == (2, True)
    assert not (tmp_path / "x").exists()


def test_ctrl_c_leaves_the_job_to_the_server_and_says_how_to_come_back(client, server, make_scan, tmp_path) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    for number in range(40):
        (folder / f"{number}.nii.gz").write_bytes(make_scan((40, 40, 40)))
    before = client.get("/v1/jobs", params={"limit": 1}).json()
    words = ["small", str(folder), "--out", str(tmp_path / "out"), "--server", server.url]
    process = subprocess.Popen(
        [sys.executable, "-m", "skipseg", "segment", *words], stderr=subprocess.PIPE, text=True, env=environment({})
    )
    while (now := client.get("/v1/jobs", params={"limit": 1}).json()) == before:
        assert process.poll() is None
    job = now["jobs"][0]["id"]
    while client.get(f"/v1/jobs/{job}").json()["state"] == "queued":  # until its sender has been answered, too
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"--job {job}" in complaints
    assert "Traceback" not in complaints
    assert run(["segment", *words, "--job", job]) in (0, None)
    assert len(list((tmp_path / "out").glob("*.nii.gz"))) == 40


def test_an_order_that_ctrl_c_interrupts_while_it_is_answered_is_told_with_its_job(
    client, server, scans, tmp_path
) -> None:
    before = {found["id"] for found in client.get("/v1/jobs").json()["jobs"]}
    with holding_back(server.url, b"POST /v1/jobs ") as (url, held):
        words = ["segment", "small", str(scans), "--out", str(tmp_path / "out"), "--server", url]
        command = [sys.executable, "-m", "skipseg", *words]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment({}))
        assert held.wait(120)
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=60)
    [job] = re.findall("--job ([0-9a-f]+) ", complaints)
    assert process.returncode == 1
    made = {found["id"] for found in client.get("/v1/jobs").json()["jobs"]} - before
    assert made == {job}
    again = ["segment", "small", str(scans), "--out", str(tmp_path / "o"), "--server", server.url, "--job", job]
    assert run(again) in (0, None)


@contextmanager
def holding_back(url: str, request: bytes) -> Iterator[tuple[str, threading.Event]]:
    """A way to a server that keeps the answer to the first ``request``, and tells when it does."""
    held, listener, to = threading.Event(), socket.create_server(("127.0.0.1", 0)), httpx.URL(url)

    def serve() -> None:
        with suppress(OSError):
            while True:
                near = listener.accept()[0]
                far = socket.create_connection((to.host, to.port))
                kept = threading.Event()
                for ways in ((near, far, kept), (far, near, kept)):
                    threading.Thread(target=carry, args=ways, daemon=True).start()

    def carry(source: socket.socket, sink: socket.socket, kept: threading.Event) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if data.startswith(request) and not held.is_set():
                    kept.set()
                    sink.sendall(data)
                elif kept.is_set() and source.getpeername()[1] == to.port:
                    held.set()
                else:
                    sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    threading.Thread(target=serve, daemon=True).start()
    with listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", held


def test_results_of_another_run_are_not_written_over(command, scans, tmp_path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "results.csv").write_text("mine")
    code, _, complaints = command("small", scans, "--out", tmp_path / "out")
    assert (code, "results.csv" in complaints) == (2, True)
    assert (tmp_path / "out" / "results.csv").read_text() == "mine"


def test_masks_are_not_written_over_scans(command, scans) -> None:
    code, _, complaints = command("small", scans / "a.nii.gz", "--out", scans / "a.nii.gz")
    assert (code, "written over" in complaints) == (2, True)


@pytest.mark.parametrize(
    "options",
    [
        ["--resume"],
        ["--no-resume"],
        ["--probabilities"],
        ["--uncertainty"],
        ["--device", "cpu"],
        ["--precision", "exact"],
    ],
)
def test_what_a_server_does_not_do_is_refused_and_not_left_out(command, scans, tmp_path, options) -> None:
    code, _, complaints = command("small", scans, "--out", tmp_path / "out", *options)
    assert (code, options[0].replace("--no-", "--") in complaints) == (2, True)


def test_what_the_server_refuses_is_one_line(command, scans, tmp_path) -> None:
    code, _, complaints = command("nobody", scans, "--out", tmp_path / "out")
    assert (code, complaints.count("\n"), "nobody" in complaints) == (1, 1, True)
    assert command("small", scans / "a.nii.gz", "--out", tmp_path / "m.nii.gz", "--roi", "5:2,:,:")[0] == 2
    assert command("./small", scans, "--out", tmp_path / "out")[0] == 2
    assert run(["segment", "small", str(scans), "--out", str(tmp_path / "o"), "--server", "localhost"]) == 1
    assert run(["segment", "small", str(scans), "--out", str(tmp_path / "o"), "--job", "0" * 32]) == 2
