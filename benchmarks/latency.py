"""Warm latency of one scan over HTTP, beside the plain way of doing it with MONAI in the same run.

    python benchmarks/latency.py SCAN.nii.gz [--model hippocampus] [--requests 40]

Ours: `skipseg serve` as users start it; the time from sending the scan to having the mask's last byte. The baseline
has no HTTP to pay for: nibabel reads the file, MONAI's SlidingWindowInferer (fp32, the plan's tile and overlap,
Gaussian) runs the same network in this process, nibabel writes the mask. Both are asked in turn, so that a machine
whose speed drifts is fair to both; ours also in a row, since what runs in between takes the processor's caches.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel
import numpy as np
import torch
from monai.inferers import SlidingWindowInferer

from skipseg.models.registry import Registry, open_model

BOUNDARY = "skipseg-benchmark"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("scan", type=Path)
    parser.add_argument("--model", default="hippocampus")
    parser.add_argument("--requests", type=int, default=40)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as data, server(Path(data)) as url:
        ours = lambda: post(f"{url}/v1/segmentations?model={wanted.model}", wanted.scan)  # noqa: E731
        plain = with_monai(wanted.scan, wanted.model)
        row = {"skipseg over HTTP, in a row": in_a_row(ours, wanted.requests)}
        times = measured(ours, plain, wanted.requests)
    shape = nibabel.load(wanted.scan).shape
    print(f"scan {'x'.join(map(str, shape))}, {torch.get_num_threads()} threads, {wanted.requests} requests each")
    for name, seconds in (row | times).items():
        low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
        print(f"{name:28} median {middle * 1000:6.1f} ms  (min {low * 1000:.1f}, max {high * 1000:.1f})")
    ratios = [theirs / own for own, theirs in zip(*times.values(), strict=True)]
    print(f"{'ratio':28} median {statistics.median(ratios):6.2f}")


def in_a_row(call: Callable[[], object], count: int) -> list[float]:
    """Seconds of each, the first three left out."""
    return [seconds_of(call) for _ in range(count + 3)][3:]


def measured(ours: Callable[[], object], plain: Callable[[], object], count: int) -> dict[str, list[float]]:
    """Seconds of each, asked in turn, the first three left out."""
    times: dict[str, list[float]] = {"skipseg over HTTP": [], "MONAI fp32 in the process": []}
    for _ in range(count + 3):
        for seconds, call in zip(times.values(), (ours, plain), strict=True):
            seconds.append(seconds_of(call))
    return {name: seconds[3:] for name, seconds in times.items()}


def seconds_of(call: Callable[[], object]) -> float:
    before = time.perf_counter()
    call()
    return time.perf_counter() - before


def with_monai(scan: Path, model: str) -> Callable[[], bytes]:
    """The plain way, as a function that returns the mask's bytes."""
    bundle = open_model(model, Registry(Path("nowhere")))
    network = bundle.network()
    infer = SlidingWindowInferer(bundle.plan.tile, 1, bundle.plan.overlap, mode="gaussian")

    def segment() -> bytes:
        image = nibabel.load(scan)
        voxels = np.asarray(image.get_fdata(dtype=np.float32))
        voxels = (voxels - voxels.mean()) / voxels.std()
        with torch.inference_mode():
            logits = infer(torch.from_numpy(voxels)[None, None], network)
        mask = nibabel.Nifti1Image(logits.argmax(1)[0].numpy().astype(np.uint8), image.affine, image.header)
        stream = io.BytesIO(mask.to_bytes())
        return stream.getvalue()

    return segment


@contextmanager
def server(data: Path) -> Iterator[str]:
    """`skipseg serve` on a free port, warm; its log goes to a file, as a pipe that nobody reads would stop it."""
    command = [sys.executable, "-m", "skipseg", "serve", "--port", "0", "--data", str(data)]
    log = data / "server.log"
    with log.open("wb") as lines, subprocess.Popen(command, stderr=lines) as process:
        try:
            while not (url := listening(log)) or not ready(url):
                assert process.poll() is None, log.read_text()
                time.sleep(0.2)
            yield url
        finally:
            process.terminate()


def listening(log: Path) -> str | None:
    """The URL that the log names, once it does."""
    lines = (json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("\n"))
    return next((line["url"] for line in lines if line["event"] == "listening"), None)


def ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def post(url: str, scan: Path) -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="scan"; filename="scan"\r\n\r\n'
    body = head.encode() + scan.read_bytes() + f"\r\n--{BOUNDARY}--\r\n".encode()
    request = urllib.request.Request(url, body, {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})
    with urllib.request.urlopen(request, timeout=600) as answer:
        return bytes(answer.read())


if __name__ == "__main__":
    main()
