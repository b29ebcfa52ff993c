"""Both servers, each in a process of its own: started, waited for, and ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from skipseg.models.precision import Mode
from skipseg.models.registry import Registry
from skipseg.service.bench.memory import peak_bytes
from skipseg.service.bench.process import ALLOCATOR
from skipseg.service.bench.subject import Subject
from skipseg.service.running.started import url_when_ready
from skipseg.service.settings import PREFIX

MODEL = "bench"
START_S, END_S = 300.0, 60.0
OURS, PLAIN = "skipseg", "plain"


@dataclass(frozen=True)
class Calls:
    """The paths of a server that are asked."""

    segment: str
    info: str
    health: str = "/healthz"


CALLS = {OURS: Calls(f"/v1/segmentations?model={MODEL}", "/v1/info"), PLAIN: Calls("/segment", "/info")}


@dataclass(frozen=True)
class Running:
    """A server that is ready."""

    name: str
    url: str
    process: int

    @property
    def calls(self) -> Calls:
        return CALLS[self.name]

    @property
    def address(self) -> tuple[str, int]:
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or 0

    @property
    def peak_bytes(self) -> int | None:
        """Of its main memory, since it started."""
        return peak_bytes(self.process)


@dataclass(frozen=True)
class Servers:
    """How to start either."""

    subject: Subject
    folder: Path  # for what they keep, and their logs
    device: str
    mode: Mode  # of ours

    def prepare(self) -> None:
        """Put the network into the registry of our server."""
        Registry(self._data / "models").add(self.subject.folder, MODEL)

    @contextmanager
    def running(self, name: str) -> Iterator[Running]:
        """A server on a free port of this machine, ready; raises ``NotReady`` when it does not get there."""
        command, environment = self._plain() if name == PLAIN else self._ours()
        log = self.folder / f"{name}.log"
        with (
            log.open("wb") as lines,
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=lines, env=environment) as server,
        ):
            try:
                yield Running(name, url_when_ready(server, log, MODEL, START_S), server.pid)
            finally:
                _end(server)

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _ours(self) -> tuple[list[str], Mapping[str, str]]:
        command = [sys.executable, "-m", "skipseg", "serve", "--host", "127.0.0.1", "--port", "0"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        chosen = {"PRECISION": self.mode, "DEVICE": self.device, "REQUESTS_PER_MINUTE": "0", "CONCURRENT_REQUESTS": "0"}
        return [*command, "--data", str(self._data)], environment | {PREFIX + name: v for name, v in chosen.items()}

    def _plain(self) -> tuple[list[str], Mapping[str, str]]:
        command = [sys.executable, "-m", "skipseg.service.bench.plain_server", str(self.subject.folder)]
        environment = {name: value for name, value in os.environ.items() if name != ALLOCATOR}
        return [*command, "--device", self.device], environment


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(END_S)
    except subprocess.TimeoutExpired:
        server.kill()
