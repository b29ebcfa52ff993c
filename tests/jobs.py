"""A server with its workers, to be killed; the jobs on it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from ports import port_to_keep
from servers import PATIENCE_S, environment

ENDED = ("succeeded", "failed", "cancelled")


@dataclass
class Mortal:
    """Processes of skipseg on one data folder, each killed and begun anew at will."""

    data: Path
    settings: dict[str, object] = field(default_factory=dict)
    processes: list[subprocess.Popen] = field(default_factory=list)
    port: int = field(default_factory=port_to_keep)

    def serve(self) -> None:
        self._begin(["serve", "--port", str(self.port)], (self.data / "server.log").open("a"))
        until(lambda: answers(f"{self.url}/healthz"))

    def worker(self) -> subprocess.Popen:
        return self._begin(["worker"], (self.data / "worker.log").open("a"))

    def kill(self) -> None:
        """SIGKILL for everybody, workers included, at once."""
        pids = [pid for process in self.processes for pid in (process.pid, *children(process.pid))]
        for pid in pids:
            with_luck(lambda pid=pid: os.kill(pid, signal.SIGKILL))
        for process in self.processes:
            process.wait()
        self.processes.clear()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, timeout=PATIENCE_S)

    def post(self, path: str, **given: object) -> httpx.Response:
        return httpx.post(self.url + path, timeout=PATIENCE_S, **given)

    def job_of(self, folder: Path, **order: object) -> str:
        answer = self.post("/v1/jobs", json={"kind": "segment", "inputs": {"folder": str(folder)}, **order})
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def ended(self, job: str, within: float = 300) -> dict:
        until(lambda: self.get(f"/v1/jobs/{job}").json()["state"] in ENDED, within)
        return self.get(f"/v1/jobs/{job}").json()

    def items(self, job: str) -> list[dict]:
        return self.get(f"/v1/jobs/{job}/items?limit=10000").json()["items"]

    def masks(self, job: str) -> dict[str, str]:
        """Names of scans, and what their masks' bytes come to."""
        return {item["name"]: item["mask_sha256"] for item in self.items(job)}

    def _begin(self, command: list[str], log) -> subprocess.Popen:
        whole = [sys.executable, "-m", "skipseg", *command, "--data", str(self.data)]
        process = subprocess.Popen(whole, stderr=log, env=environment(self.settings))
        self.processes.append(process)
        return process


@contextmanager
def mortal(data: Path, **settings: object) -> Iterator[Mortal]:
    """Nothing runs yet; whatever runs at the end is killed."""
    found = Mortal(data, settings)
    try:
        yield found
    finally:
        found.kill()


def children(pid: int) -> list[int]:
    """Of a process; none where it has just died."""
    try:
        return [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except OSError:
        return []


def until(holds: Callable[[], bool], within: float = PATIENCE_S) -> None:
    ends = time.monotonic() + within
    while time.monotonic() < ends:
        try:
            if holds():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError("it did not come to pass")


def answers(url: str) -> bool:
    return httpx.get(url, timeout=PATIENCE_S).status_code == 200


def with_luck(do: Callable[[], object]) -> None:
    with suppress(ProcessLookupError):
        do()
