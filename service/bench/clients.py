"""Clients of a server, and how long they wait."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from http.client import HTTPConnection
from operator import methodcaller
from threading import Event
from time import perf_counter, sleep
from types import TracebackType
from typing import Self

import nibabel as nib
import numpy as np

from skipseg.models.errors import NotReady
from skipseg.service.bench.readings import Shape
from skipseg.service.bench.servers import Running
from skipseg.service.bench.subject import made_up_scan

BOUNDARY = "skipseg-bench-9b2f61d4"
PATIENCE_S = 3600
KEPT_S = 2.0  # servers drop connections that are idle for longer, uvicorn after 5 s
BETWEEN_PROBES_S = 0.1  # every 20 ms they took a sixth of two cores from our server


class Client:
    """One connection that is kept open while it is in use, by one thread."""

    def __init__(self, server: Running) -> None:
        self.server = server
        self._used = perf_counter()
        self._connection = HTTPConnection(*server.address, timeout=PATIENCE_S)

    def segment(self, scan: bytes) -> bytes:
        """The mask of a file; raises ``NotReady`` for any answer but a mask."""
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="scan"; filename="scan.nii.gz"\r\n\r\n'
        body = head.encode() + scan + f"\r\n--{BOUNDARY}--\r\n".encode()
        return self._ask("POST", self.server.calls.segment, body)

    def get(self, path: str) -> bytes:
        return self._ask("GET", path, None)

    def _ask(self, method: str, path: str, body: bytes | None) -> bytes:
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"} if body else {}
        if perf_counter() - self._used > KEPT_S:
            self._connection.close()  # the next request opens it again
        self._connection.request(method, path, body, headers)
        answer = self._connection.getresponse()
        content, self._used = answer.read(), perf_counter()
        if answer.status != 200:
            raise NotReady(f"{self.server.name} answered {method} {path} with {answer.status}: {content[:300]!r}")
        return content

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()


@dataclass(frozen=True)
class Crowd:
    """Seconds of every answer while several large scans were under way."""

    small: tuple[float, ...]
    large: tuple[float, ...]  # of scans that were sent at the same time
    info: tuple[float, ...]
    health: tuple[float, ...]


def seconds_of(call: Callable[[], object]) -> float:
    began = perf_counter()
    call()
    return perf_counter() - began


def in_a_crowd(server: Running, small: bytes, large: bytes, clients: int, lead_s: float) -> Crowd:
    """``clients`` send a large scan each; after ``lead_s`` one client sends small ones until all large are answered.

    All the while somebody asks for the server's description and health.
    """
    over = Event()
    with ThreadPoolExecutor(clients + 3) as pool:
        sent = [pool.submit(_one, server, large) for _ in range(clients)]
        sleep(lead_s)
        asking = pool.submit(_until, over, server, methodcaller("segment", small), 0.0)
        probing = [
            pool.submit(_until, over, server, methodcaller("get", path), BETWEEN_PROBES_S)
            for path in (server.calls.info, server.calls.health)
        ]
        wait(sent)
        over.set()
        info, health = (probe.result() for probe in probing)
        return Crowd(asking.result(), tuple(one.result() for one in sent), info, health)


def answers_per_second(server: Running, scan: bytes, clients: int, duration_s: float) -> float:
    """Of several clients that send the same scan again and again."""
    over = Event()
    with ThreadPoolExecutor(clients) as pool:
        began = perf_counter()
        asking = [pool.submit(_until, over, server, methodcaller("segment", scan), 0.0) for _ in range(clients)]
        sleep(duration_s)
        over.set()
        count = sum(len(one.result()) for one in asking)
        return count / (perf_counter() - began)


def scan_file(shape: Shape) -> bytes:
    """A made-up scan as ``.nii.gz`` of 16 bit."""
    voxels = (made_up_scan(1, shape)[0].numpy() * 100).astype(np.int16)
    return gzip.compress(nib.Nifti1Image(voxels, np.eye(4)).to_bytes(), compresslevel=1)


def _one(server: Running, scan: bytes) -> float:
    with Client(server) as client:
        return seconds_of(lambda: client.segment(scan))


def _until(over: Event, server: Running, call: Callable[[Client], object], pause_s: float) -> tuple[float, ...]:
    """Seconds of one call after the other, at least one."""
    taken: list[float] = []
    with Client(server) as client:
        while not taken or not over.is_set():
            taken.append(seconds_of(lambda: call(client)))
            sleep(pause_s)
    return tuple(taken)
