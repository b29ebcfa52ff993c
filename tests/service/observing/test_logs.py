"""What is written about a request, and what never is."""

import gzip
import json
import re
import subprocess
import sys

import numpy as np
from scan_files import nifti, zipped

PATIENT = "DOE_JANE"


def test_no_log_line_and_no_answer_holds_what_a_scan_says_of_a_patient(server, client) -> None:
    voxels = np.random.default_rng(0).normal(size=(16, 16, 16)).astype(np.float32)
    good = zipped(nifti(voxels, descrip=PATIENT, db_name=PATIENT, aux_file=PATIENT, intent_name=PATIENT))
    bad = nifti(voxels, descrip=PATIENT, db_name=PATIENT, scl_slope=np.inf)
    ours = set()
    for scan in (good, bad, PATIENT.encode()):
        for model in ("small", "pair", PATIENT.lower()):
            answer = client.post(
                "/v1/segmentations",
                params={"model": model, "format": "nifti"},
                files={"scan": (f"/home/{PATIENT}/{PATIENT}.nii", scan)},
                headers={"X-Request-Id": PATIENT, "User-Agent": PATIENT},
            )
            ours.add(server.line_of(answer)["request_id"])
            told = answer.content if answer.status_code == 200 else answer.text.replace(PATIENT.lower(), "").encode()
            assert PATIENT.encode() not in _unzipped(told) + str(answer.headers).encode()
    ours.add(server.line_of(client.get(f"/{PATIENT}/{PATIENT}?{PATIENT}"))["request_id"])
    assert len(ours) == len([line for line in server.lines() if line.get("request_id") in ours]) == 10
    assert PATIENT.lower() not in server.log.read_text().lower()


def test_a_request_is_one_line_with_its_stages_and_shape(server, client, scan) -> None:
    answer = client.post("/v1/segmentations?model=small", files={"scan": scan})
    line = server.line_of(answer)
    assert line["event"] == "request"
    assert (line["method"], line["route"], line["status"]) == ("POST", "/v1/segmentations", 200)
    assert (line["model"], line["shape"]) == ("small@1", [1, 20, 24, 13])
    assert {"read", "preprocess", "network", "postprocess", "write"} <= set(line["stages"])
    assert line["ms"] > 0


def test_a_refusal_is_logged_with_its_code(server, client) -> None:
    answer = client.post("/v1/segmentations?model=nobody")
    line = server.line_of(answer)
    assert (line["status"], line["code"]) == (404, "model_unknown")


def test_a_request_id_of_the_client_is_kept_when_it_cannot_hold_a_name(client) -> None:
    mine = "0af76519-16cd43dd"
    assert client.get("/healthz", headers={"X-Request-Id": mine}).headers["X-Request-Id"] == mine
    assert re.fullmatch("[0-9a-f]{32}", client.get("/healthz").headers["X-Request-Id"])


SPEAKS_PAST_PYTHON = """
import ctypes, os, threading
from skipseg.service.observing.logs import announce, configure
configure("info")
libc = ctypes.CDLL(None)
libc.puts(b"Jane from C")
libc.fflush(None)
os.write(2, b"Jane from C++")
def fail():
    raise RuntimeError("the scan of Jane")
thread = threading.Thread(target=fail)
thread.start()
thread.join()
announce("still here", {})
"""


def test_nothing_but_lines_of_ours_gets_into_the_log_and_a_thread_that_fails_has_one() -> None:
    ran = subprocess.run([sys.executable, "-c", SPEAKS_PAST_PYTHON], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    assert [line["event"] for line in lines] == ["thread failed", "still here"]
    assert lines[0]["exception"]["class"] == "builtins.RuntimeError"
    assert "Jane" not in ran.stdout + ran.stderr


def _unzipped(content: bytes) -> bytes:
    return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
