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
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from jobs import until
from servers import serving

from skipseg.client import Client

SCANS = 2000  # of a job: more than it gets to
NOW_AND_THEN_S = 0.5


@dataclass(frozen=True)
class Beside:
    """The median of seconds to a mask, and the job's scans a second; None where there was nobody, or no job."""

    seconds: float | None
    rate: float | None

    def __str__(self) -> str:
        person = "nobody waits" if self.seconds is None else f"{1000 * self.seconds:.1f} ms to a mask"
        return f"{person:20} {'' if self.rate is None else f'{self.rate:5.1f} scans/s of the job'}"


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
            for name, beside in figures.items():
                print(f"  {name:24} {beside}", flush=True)


@contextmanager
def server(data: Path, own: bool) -> Iterator[str]:
    """A server with one worker: its own, or one that was begun beside it."""
    with serving(data, workers=int(own)) as running:
        if own:
            yield running.url
            return
        log = data / "worker.log"
        command = [sys.executable, "-m", "skipseg", "worker", "--data", str(data)]
        with log.open("wb") as lines, subprocess.Popen(command, stderr=lines, start_new_session=True) as worker:
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
    figures = {"nothing else": Beside(waited(person, seconds / 4, 0), None)}
    upload = client.upload_scans({f"{at}.nii.gz": scans[at % len(scans)] for at in range(SCANS)})
    job = client.jobs.submit({"upload": upload.id}, model)
    done = lambda: client.jobs.get(job).progress.done  # noqa: E731
    while not done():
        time.sleep(0.2)
    clients: dict[str, Callable[[], float | None]] = {
        "the job alone": lambda: time.sleep(seconds),
        "one scan after the other": lambda: waited(person, seconds, 0),
        "every half second": lambda: waited(person, seconds, NOW_AND_THEN_S),
    }
    for name, ask in clients.items():
        before, began = done(), time.perf_counter()
        found = ask()
        figures[name] = Beside(found, (done() - before) / (time.perf_counter() - began))
    client.jobs.cancel(job)
    return figures


def waited(person: Callable[[], object], seconds: float, pause: float) -> float:
    """The median of seconds to a mask, for somebody who asks for so many seconds."""
    taken, ends = [], time.perf_counter() + seconds
    while time.perf_counter() < ends:
        began = time.perf_counter()
        person()
        taken.append(time.perf_counter() - began)
        time.sleep(pause)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
