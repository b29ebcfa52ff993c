"""``skipseg demo``: the whole path on made-up patients, from a dataset to a mask that came over HTTP."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from skipseg.models.bundle import Bundle
from skipseg.models.errors import UsageError
from skipseg.models.inference.predictor import load_predictor
from skipseg.models.precision import choose_device
from skipseg.models.registry import Registry
from skipseg.models.scans.reader import read_scan
from skipseg.service.running.started import url_when_ready
from skipseg.training.datasets.dataset import Dataset, open_dataset, read_case
from skipseg.training.judging.summary import Metrics
from skipseg.training.phantoms import write_phantom_dataset
from skipseg.training.pipeline import TrainOptions, train
from skipseg.training.reports.figures import overlay_plot
from skipseg.training.reports.slices import pictures
from skipseg.training.runs.evaluate import evaluate

MODEL = "phantoms"
TRAINING_CASES, UNSEEN_CASES = 20, 6
TRAINING_SEED, UNSEEN_SEED = 1000, 2000  # no phantom is in both
START_SECONDS = 120.0  # for the server to load and warm up, on a slow machine
MARK = "made-by-skipseg-demo.txt"
CONTENTS = """`skipseg demo` made this folder, and empties it when it runs again.

scan.nii.gz   a scan the network never saw, as it was posted to the server
mask.nii.gz   the mask the server answered with, on the scan's own grid
overlay.png   both: truth solid, mask dashed
report.html   Dice and surface distances on all scans the network never saw; metrics.json, cases.csv, masks/: the same
phantoms/     the dataset trained on, in the layout of the Medical Segmentation Decathlon; unseen/: the one judged by
bundle/       the trained model
server/       the server's data folder, with the model in its registry; server.log: its log
"""


def run_demo(minutes: float, serve: bool, out: Path) -> None:
    """Train, evaluate, serve and segment into ``out``; with ``serve`` the server goes on until Ctrl-C.

    Raises ``UsageError`` when ``out`` holds files that are not the demo's, ``NotReady`` when the server does not start.
    """
    began = time.monotonic()
    _empty(out)
    _step(1, f"making {TRAINING_CASES} phantoms to train on and {UNSEEN_CASES} to judge by")
    write_phantom_dataset(out / "phantoms", TRAINING_CASES, TRAINING_SEED)
    write_phantom_dataset(out / "unseen", UNSEEN_CASES, UNSEEN_SEED)
    _step(2, f"training for {minutes:g} min")
    bundle = train(out / "phantoms", out / "bundle", TrainOptions(minutes=minutes, name=MODEL))
    _step(3, f"evaluating on {UNSEEN_CASES} phantoms it did not train on")
    unseen = open_dataset(out / "unseen")
    metrics = _evaluate(bundle, unseen, out)
    _step(4, "starting the server")
    Registry(out / "server" / "models").add(bundle.folder, MODEL)
    with _running_server(out) as (server, url):
        _step(5, "posting a scan to it")
        _segment(url, unseen, bundle, out)
        _conclude(metrics, out, time.monotonic() - began)
        if serve:
            _wait(server, url, out)


def _empty(out: Path) -> None:
    if out.exists() and not (out / MARK).is_file() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} holds files that are not the demo's; choose another --out")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (out / MARK).write_text(CONTENTS)


def _evaluate(bundle: Bundle, unseen: Dataset, out: Path) -> Metrics:
    predictor = load_predictor(bundle, choose_device(), "fast")
    history = bundle.folder / "evaluation" / "history.csv"
    return evaluate(predictor, bundle.manifest.name, unseen, unseen.cases, out, history=history)


@contextmanager
def _running_server(out: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """``skipseg serve`` on a free port, ready to segment, and its URL; stopped on the way out."""
    command = [sys.executable, "-m", "skipseg", "serve", "--host", "127.0.0.1", "--port", "0"]
    command += ["--data", str(out / "server")]
    log = out / "server.log"
    # So that the log says why, should it not become ready; and nobody but this command asks it.
    environment = {**os.environ, "SKIPSEG_LOG_LEVEL": "info", "SKIPSEG_OIDC_ISSUER": ""}
    with (
        log.open("wb") as lines,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=lines, env=environment) as server,
    ):
        try:
            yield server, url_when_ready(server, log, MODEL, START_SECONDS)
        finally:
            server.terminate()


def _segment(url: str, unseen: Dataset, bundle: Bundle, out: Path) -> None:
    """Post the first unseen scan, write scan, mask and overlay, and say where the mask lies."""
    case = unseen.cases[0]
    shutil.copy(case.images[0], out / "scan.nii.gz")
    began = time.monotonic()
    (out / "mask.nii.gz").write_bytes(_post(f"{url}/v1/segmentations?model={MODEL}", out / "scan.nii.gz"))
    seconds = time.monotonic() - began
    volume, truth = read_case(unseen, case)
    mask = read_scan(out / "mask.nii.gz")
    (out / "overlay.png").write_bytes(
        overlay_plot(pictures(volume, truth, mask.voxels[0].astype(np.uint8)), bundle.manifest.labels)
    )
    same = mask.geometry.shape == volume.geometry.shape and np.array_equal(mask.geometry.affine, volume.geometry.affine)
    grid = "on exactly the scan's grid" if same else "NOT on the scan's grid"
    _say(f"a mask of {' x '.join(map(str, mask.geometry.shape))} voxels, {grid}, after {seconds:.2f} s")


def _post(url: str, scan: Path) -> bytes:
    """What ``curl -F scan=@SCAN URL`` answers."""
    boundary = "skipseg-demo-3f1c6a52"
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="scan"; filename="{scan.name}"\r\n\r\n'
    body = head.encode() + scan.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
    request = urllib.request.Request(url, body, {"Content-Type": f"multipart/form-data; boundary={boundary}"})
    with urllib.request.urlopen(request, timeout=START_SECONDS) as answer:
        content = answer.read()
    assert isinstance(content, bytes)
    return content


def _conclude(metrics: Metrics, out: Path, seconds: float) -> None:
    per_label = ", ".join(f"{name} {scores.dice or 0:.3f}" for name, scores in metrics.labels.items())
    print(f"\nmean Dice on {len(metrics.cases)} unseen phantoms: {metrics.mean.dice or 0:.3f} ({per_label})")
    print(f"look at {out / 'overlay.png'} and {out / 'report.html'}; this took {seconds / 60:.1f} min", flush=True)


def _wait(server: subprocess.Popen[bytes], url: str, out: Path) -> None:
    print(f"\nserving on {url} until Ctrl-C (API: {url}/docs); for instance:")
    print(f"  curl -F scan=@{out / 'scan.nii.gz'} '{url}/v1/segmentations?model={MODEL}' -o mask.nii.gz", flush=True)
    try:
        server.wait()
    except KeyboardInterrupt:
        print("stopped")


def _step(number: int, what: str) -> None:
    print(f"[{number}/5] {what}", flush=True)


def _say(what: str) -> None:
    print(f"      {what}", flush=True)
