"""What a training costs the scans that are segmented beside it, over HTTP.

    python benchmarks/training_beside.py [--requests 60] [--rounds 3]

One server as `skipseg serve` starts it, and the child process that an ordered training is, with the share and the
priority it has by default. A small scan is sent again and again; rounds with and without the training take turns, so
that a machine whose speed drifts is fair to both. What counts are the ratios of medians and of 95th percentiles.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from latency import post, server

from skipseg.service.bench.clients import scan_file
from skipseg.service.retraining.machine import Machine
from skipseg.service.retraining.tasks import TASK_FILE, TrainTask
from skipseg.service.retraining.watch import CHILD
from skipseg.service.settings import Settings
from skipseg.training.fitting.tracking import HISTORY
from skipseg.training.phantoms import write_phantom_dataset

WARM, BESIDE = 5, 60.0  # requests that are not counted; minutes that the training would take


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "data").mkdir()
        (folder / "scan.nii.gz").write_bytes(scan_file((34, 52, 35)))
        task = task_in(folder)
        with server(folder / "data") as url, training(task, folder) as paused:
            ask = lambda: post(f"{url}/v1/segmentations?model=hippocampus", folder / "scan.nii.gz")  # noqa: E731
            tell(*rounds(ask, paused, wanted.requests, wanted.rounds))


def task_in(folder: Path) -> TrainTask:
    """A training on phantoms, as an order for an hour would begin it."""
    names = write_phantom_dataset(folder / "dataset", cases=6, seed=0)
    (folder / "validation.txt").write_text(names[0])
    return TrainTask(
        share=Machine.of(Settings()).share,
        dataset=folder / "dataset",
        out=folder / "candidate",
        validation=folder / "validation.txt",
        minutes=BESIDE,
        seed=0,
        name="beside",
        base=None,
        base_version=None,
        replay=(),
    )


@contextmanager
def training(task: TrainTask, folder: Path) -> Iterator[Callable[[bool], None]]:
    """The child, once it learns; the function given stops it for a while (True), or lets it go on."""
    (folder / TASK_FILE).write_text(task.model_dump_json())
    threads = {"OMP_NUM_THREADS": str(task.share.threads), "OMP_WAIT_POLICY": "passive"}
    with (folder / "child.log").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", CHILD, str(folder / TASK_FILE)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env={**os.environ, **threads},
            start_new_session=True,
        )
    try:
        while not (folder / "candidate.training" / HISTORY).is_file():
            assert child.poll() is None, (folder / "child.log").read_text()
            time.sleep(0.5)
        yield lambda stop: child.send_signal(signal.SIGSTOP if stop else signal.SIGCONT)
    finally:
        child.kill()
        child.wait()


def rounds(
    ask: Callable[[], object], pause: Callable[[bool], None], requests: int, count: int
) -> tuple[list[float], list[float]]:
    """Seconds of every answer without and with the training beside."""
    alone, beside = list[float](), list[float]()
    for _ in range(count):
        for stop, seconds in ((True, alone), (False, beside)):
            pause(stop)
            taken = [timed(ask) for _ in range(requests + WARM)]
            seconds += taken[WARM:]
    return alone, beside


def timed(ask: Callable[[], object]) -> float:
    before = time.perf_counter()
    ask()
    return time.perf_counter() - before


def tell(alone: list[float], beside: list[float]) -> None:
    for name, seconds in (("alone", alone), ("beside a training", beside)):
        print(f"{name:18} median {median(seconds) * 1000:6.1f} ms, 95th percentile {high(seconds) * 1000:6.1f} ms")
    ratios = median(beside) / median(alone), high(beside) / high(alone)
    print(f"{'ratio':18} median {ratios[0]:6.2f}, 95th percentile {ratios[1]:6.2f}")


median = statistics.median


def high(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=20)[-1]


if __name__ == "__main__":
    main()
