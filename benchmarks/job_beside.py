"""What a job costs the scans that people send meanwhile, and what they cost the job.

    python benchmarks/job_beside.py FOLDER/*.nii.gz [--model hippocampus] [--seconds 20] [--rounds 2]

The same scans, again and again, as a job; one client sends the first of them and waits for its mask, at once after the
last one or every half second. Workers in turn: the server's own, and ``skipseg worker`` at the server's priority, which
is the baseline.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from jobs import until
from servers import serving

from skipseg.client import Client

SCANS = 2000  # of a job: more than it gets to
NOW_AND_THEN_S = 0.5
Beside = tuple[str, str]  # milliseconds to a mask, the median; scans of the job a second


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("scans", type=Path, nargs="+")
    parser.add_argument("--model", default="hippocampus")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=2)
    wanted = parser.parse_args()
    for _ in range(wanted.rounds):
        for own in (True, False):
            with tempfile.TemporaryDirectory() as folder, server(Path(folder), own) as url, Client(url) as client:
                figures = measured(client, wanted.scans, wanted.model, wanted.seconds)
            print("the server's own worker" if own else "a worker of equal priority")
            for name, (milliseconds, rate) in figures.items():
                print(f"  {name:24} {milliseconds:>6} ms to a mask, {rate:>5} scans/s of the job", flush=True)


@contextmanager
def server(data: Path, own: bool) -> Iterator[str]:
    """A server with one worker: its own, or one that was begun beside it."""
    with serving(data, workers=int(own)) as running:
        if own:
            yield running.url
            return
        log = data / "worker.log"
        command = [sys.executable, "-m", "skipseg", "worker", "--data", str(data)]
        with log.open("wb") as lines, subprocess.Popen(command, stderr=lines) as worker:
            try:
                until(lambda: "worker ready" in log.read_text())
                yield running.url
            finally:
                worker.terminate()


def measured(client: Client, scans: list[Path], model: str, seconds: float) -> dict[str, Beside]:
    """Without the job; with it alone; and with both."""
    person = lambda: client.segment(scans[0], model=model)  # noqa: E731
    for _ in range(5):
        person()
    figures: dict[str, Beside] = {"nothing else": (timed(person, seconds / 4, 0), "-")}
    upload = client.upload_scans({f"{at}.nii.gz": scans[at % len(scans)] for at in range(SCANS)})
    job = client.jobs.submit({"upload": upload.id}, model)
    done = lambda: client.jobs.get(job).progress.done  # noqa: E731
    while not done():
        time.sleep(0.2)
    pauses = {"the job alone": None, "one scan after the other": 0.0, "every half second": NOW_AND_THEN_S}
    for name, pause in pauses.items():
        before, began = done(), time.perf_counter()
        if pause is None:
            time.sleep(seconds)
        waited = "-" if pause is None else timed(person, seconds, pause)
        figures[name] = waited, f"{(done() - before) / (time.perf_counter() - began):.1f}"
    client.jobs.cancel(job)
    return figures


def timed(person: Callable[[], object], seconds: float, pause: float) -> str:
    """What somebody waits for a mask, asking for so many seconds."""
    taken, ends = [], time.perf_counter() + seconds
    while time.perf_counter() < ends:
        began = time.perf_counter()
        person()
        taken.append(time.perf_counter() - began)
        time.sleep(pause)
    return f"{1000 * statistics.median(taken):.1f}"


if __name__ == "__main__":
    main()
