"""A real Orthanc with its DICOMweb plug-in, in a network namespace of its own, behind two ports of loopback."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx
import pytest
from forwarding import forwarder
from ports import port_to_keep

from skipseg.service.running.listener import listen

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
INSIDE = Path(__file__).with_name("orthanc_inside.py")
USER, PASSWORD = "skipseg", "open sesame"
STARTS_WITHIN_S = 120


@dataclass
class Orthanc:
    """Started and stopped at will; what it stores and where it is reached stay the same."""

    folder: Path
    ports: dict[str, int] = field(default_factory=dict)
    process: subprocess.Popen | None = None
    _doors: "Doors | None" = None

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.ports['http.sock']}"

    @property
    def web(self) -> str:
        """Where its DICOMweb begins."""
        return f"{self.root}/dicom-web"

    @property
    def dicom_port(self) -> int:
        return self.ports["dicom.sock"]

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.root, auth=(USER, PASSWORD), timeout=60, trust_env=False)

    def node(self) -> dict[str, str]:
        """As ``SKIPSEG_DICOM_NODES`` names it for DICOMweb."""
        password = self.folder / "password"
        password.write_text(PASSWORD)
        return {"url": self.web, "user": USER, "password_file": str(password)}

    def dimse_node(self) -> dict[str, object]:
        return {"ae": "ORTHANC", "host": "127.0.0.1", "port": self.dicom_port}

    def start(self) -> None:
        alone = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
        self.process = subprocess.Popen([*alone, sys.executable, str(INSIDE), str(self.folder)])
        self._doors = Doors(self.folder, self.ports)
        ends = time.monotonic() + STARTS_WITHIN_S
        while not self._answers():
            assert self.process.poll() is None, (self.folder / "orthanc.log").read_text()
            assert time.monotonic() < ends, "Orthanc did not start"
            time.sleep(0.1)

    def stop(self) -> None:
        """Nobody listens on its ports from now on."""
        if self._doors is not None:
            self._doors.close()
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
        self.process = self._doors = None

    def give(self, files: Sequence[Path]) -> None:
        """Put files into it by its own interface."""
        with self.client() as client:
            for file in files:
                client.post("/instances", content=file.read_bytes()).raise_for_status()

    def found(self, level: str, **wanted: str) -> list[dict[str, str]]:
        """The main tags of what it has: ``found("Series", Modality="SEG")``."""
        asked = {"Level": level, "Query": wanted, "Expand": True}
        with self.client() as client:
            answer = client.post("/tools/find", json=asked)
            answer.raise_for_status()
            return [entry["MainDicomTags"] for entry in answer.json()]

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return client.get("/dicom-web/studies").status_code == 200
        except httpx.TransportError:
            return False


class Doors:
    """A thread that listens on ports of loopback, and passes on what comes to the sockets in a folder."""

    def __init__(self, folder: Path, ports: dict[str, int]) -> None:
        self.folder, self.ports = folder, ports
        self._loop, self._servers = asyncio.new_event_loop(), list[asyncio.Server]()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()

    async def _open(self) -> None:
        for name in ("http.sock", "dicom.sock"):
            listening = listen("127.0.0.1", self.ports.setdefault(name, port_to_keep()))
            to = forwarder(partial(asyncio.open_unix_connection, str(self.folder / name)))
            self._servers.append(await asyncio.start_server(to, sock=listening))

    def close(self) -> None:
        async def end() -> None:
            for server in self._servers:
                server.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await asyncio.sleep(0)

        asyncio.run_coroutine_threadsafe(end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextmanager
def orthanc(folder: Path, **more: object) -> Iterator[Orthanc]:
    """One that runs; ``more`` goes into its configuration. Skips the test where it, or a namespace, cannot be had."""
    if shutil.which("Orthanc") is None or not PLUGIN.exists():
        pytest.skip("Orthanc and its DICOMweb plug-in are not here: apt-get install orthanc orthanc-dicomweb")
    alone = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
        pytest.skip("network namespaces cannot be made here, and Orthanc would listen on every address")
    (folder / "orthanc.json").write_text(json.dumps(_configuration(folder, more)))
    found = Orthanc(folder)
    try:
        found.start()
        yield found
    finally:
        found.stop()


def _configuration(folder: Path, more: dict[str, object]) -> dict[str, object]:
    return {
        "HttpPort": 8042,
        "DicomPort": 4242,
        "DicomAet": "ORTHANC",
        "StorageDirectory": str(folder / "stored"),
        "IndexDirectory": str(folder / "stored"),
        "Plugins": [str(PLUGIN)],
        "AuthenticationEnabled": True,
        "RegisteredUsers": {USER: PASSWORD},
        "UnknownSopClassAccepted": True,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
        "DicomAlwaysAllowStore": True,
        "OverwriteInstances": True,
        **more,
    }
