"""A real server in a process of its own, and the command ``skipseg`` likewise."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path

import httpx
import uvicorn
from fastapi import FastAPI

from skipseg.models.registry import Registry
from skipseg.service.running.listener import listen, url_of

PATIENCE_S = 120


@dataclass(frozen=True)
class RunningServer:
    url: str
    process: subprocess.Popen
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def ended(self) -> int:
        """Its exit code, once it has one."""
        return self.process.wait(timeout=PATIENCE_S)

    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.log.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def line_of(self, answer: httpx.Response | HTTPResponse) -> dict:
        """The log line of a request; it is written when the answer is on its way already."""
        request_id = answer.headers["X-Request-Id"]
        ends = time.monotonic() + PATIENCE_S
        while time.monotonic() < ends:
            for line in self.lines():
                if line.get("request_id") == request_id:
                    return line
            time.sleep(0.01)
        raise AssertionError("the request was not logged")

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=PATIENCE_S)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, timeout=PATIENCE_S)

    def post(self, path: str, **given: object) -> httpx.Response:
        return httpx.post(self.url + path, timeout=PATIENCE_S, **given)


def skipseg(*arguments: object, cwd: Path | None = None, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run the command line; ``settings`` become ``SKIPSEG_*``."""
    command = [sys.executable, "-m", "skipseg", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment(settings), cwd=cwd, check=False)


@contextmanager
def serving(data: Path, until_ready: bool = True, **settings: object) -> Iterator[RunningServer]:
    """A server on a free port with its data in ``data``; stopped at the end."""
    log = data / "server.log"
    with log.open("w") as stderr:
        command = [sys.executable, "-m", "skipseg", "serve", "--port", "0", "--data", str(data)]
        process = subprocess.Popen(command, stderr=stderr, env=environment(settings))
    try:
        server = RunningServer(_listening(log, process), process, log)
        if until_ready:
            _wait_for(lambda: server.get("/readyz").status_code == 200, process)
        yield server
    finally:
        end(process)


def end(process: subprocess.Popen) -> None:
    """Tell it to end, which takes a server as long as its requests and its workers do; none outlives the test."""
    process.terminate()
    try:
        process.wait(PATIENCE_S)
    finally:
        process.kill()


@contextmanager
def in_thread(app: FastAPI) -> Iterator[str]:
    """Serve an app from a thread of this process; gives its URL."""
    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield url_of(listener)
    finally:
        server.should_exit = True
        thread.join(timeout=30)
        listener.close()


def environment(settings: dict[str, object]) -> dict[str, str]:
    """This process's environment with other ``SKIPSEG_*``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SKIPSEG_")}
    return kept | {f"SKIPSEG_{name.upper()}": str(value) for name, value in settings.items()}


def registry_without_shipped(data: Path) -> Registry:
    """The registry of ``data`` in which the models that ship with skipseg are not live."""
    registry = Registry(data / "models")
    for model in registry.models():
        pointer = registry.root / model.name / "live.json"
        pointer.parent.mkdir(parents=True, exist_ok=True)
        pointer.write_text('{"history": []}')
    return registry


def _listening(log: Path, process: subprocess.Popen) -> str:
    def lines() -> list[str]:
        return [line for line in log.read_text().splitlines() if '"listening"' in line]

    _wait_for(lambda: bool(lines()), process)
    return json.loads(lines()[0])["url"]


def _wait_for(condition: Callable[[], bool], process: subprocess.Popen) -> None:
    ends = time.monotonic() + PATIENCE_S
    while not _holds(condition):
        assert process.poll() is None, "the server ended"
        assert time.monotonic() < ends, "the server did not get there"
        time.sleep(0.05)


def _holds(condition: Callable[[], bool]) -> bool:
    """Not yet, where the server does not answer."""
    try:
        return condition()
    except httpx.TransportError:
        return False
