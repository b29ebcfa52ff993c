"""What ``check_image.py`` does with the image once it is built. Containers share this machine's network here."""

from __future__ import annotations

import gzip
import io
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import httpx
import nibabel
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from postgres import postgres

PATIENCE_S = 300
MODEL = "hippocampus"  # ships with skipseg


@dataclass(frozen=True)
class Runs:
    """Runs a container's programs as the image says: as its user, with /data and /var/tmp from outside."""

    buildah: Sequence[str]
    container: str
    data: Path
    user: int

    @contextmanager
    def __call__(self, *command: str, **settings: object) -> Iterator[subprocess.Popen[bytes]]:
        """A program that runs until the block ends, and that nobody but the image's user runs."""
        given = {"log_level": "warning", **settings}
        variables = [f"--env=SKIPSEG_{name.upper()}={value}" for name, value in given.items()]
        mounts = [f"--volume={self.data}:/data", f"--volume={self.data / 'uploads'}:/var/tmp"]
        whole = [*self.buildah, "run", "--isolation", "chroot", *variables, *mounts, self.container, "--", *command]
        process = subprocess.Popen(whole, start_new_session=True)
        try:
            yield process
            users = {os.stat(f"/proc/{child}").st_uid for child in _programs(process.pid, command[0])}
            if users != {self.user}:
                raise SystemExit(f"image-check: {command} runs as {users}, expected {self.user}")
        finally:
            for child in _programs(process.pid, command[0]):
                os.kill(child, signal.SIGTERM)
            process.wait(PATIENCE_S)


def masks_over_http(buildah: Sequence[str], container: str, place: Path, user: int) -> None:
    """One scan in, its mask out, on its grid; and the health check of the image says that it is well."""
    with ExitStack() as ends:
        runs = Runs(buildah, container, _data(place / "alone", user), user)
        port = _free_port()
        server = ends.enter_context(runs("skipseg", "serve", port=port))
        client = ends.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S))
        _until(lambda: _ready(client), server)
        answer = client.post("/v1/segmentations", params={"model": MODEL}, files={"scan": ("scan.nii.gz", _scan())})
        answer.raise_for_status()
        _check_mask(answer.content)


def jobs_by_two_containers(buildah: Sequence[str], container: str, place: Path, user: int) -> None:
    """A server without workers and a worker beside it, which know each other by PostgreSQL and /data alone."""
    with ExitStack() as ends:
        runs = Runs(buildah, container, _data(place / "shared", user), user)
        database = ends.enter_context(postgres()).url
        port = _free_port()
        server = ends.enter_context(runs("skipseg", "serve", port=port, workers=0, jobs_database=database))
        client = ends.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_S))
        _until(lambda: _ready(client), server)
        upload = client.post("/v1/uploads", files={"file": ("scans.zip", _archive(4))}).raise_for_status().json()["id"]
        order = {"kind": "segment", "model": MODEL, "inputs": {"upload": upload}}
        job = client.post("/v1/jobs", json=order).raise_for_status().json()["id"]
        worker = ends.enter_context(runs("skipseg", "worker", jobs_database=database))
        _until(lambda: client.get(f"/v1/jobs/{job}").json()["ended"] is not None, worker)
        progress = client.get(f"/v1/jobs/{job}").json()["progress"]
        if progress != {"done": 4, "failed": 0, "total": 4}:
            raise SystemExit(f"image-check: a job of 4 scans came to {progress}")
        _check_mask(client.get(f"/v1/jobs/{job}/items/0/mask").raise_for_status().content)


def _scan(seed: int = 0) -> bytes:
    """A made-up scan, packed."""
    voxels = np.random.default_rng(seed).normal(100, 20, (36, 50, 40)).astype(np.float32)
    image = nibabel.Nifti1Image(voxels, np.diag([1.0, 1.0, 1.2, 1.0]))
    return _packed(image.to_bytes())


def _packed(content: bytes) -> bytes:
    return gzip.compress(content)


def _archive(count: int) -> bytes:
    buffer = io.BytesIO()
    with ZipFile(buffer, "w") as file:
        for number in range(count):
            file.writestr(f"{number}.nii.gz", _scan(number))
    return buffer.getvalue()


def _check_mask(content: bytes) -> None:
    mask = nibabel.Nifti1Image.from_bytes(gzip.decompress(content))
    scan = nibabel.Nifti1Image.from_bytes(gzip.decompress(_scan()))
    labels = set(np.unique(np.asanyarray(mask.dataobj)).tolist())
    if mask.shape != scan.shape or not np.array_equal(mask.affine, scan.affine) or not labels <= {0, 1, 2}:
        raise SystemExit(f"image-check: the mask has shape {mask.shape}, labels {labels}; the scan {scan.shape}")


def _data(folder: Path, user: int) -> Path:
    """An empty volume of the image's user."""
    for path in (folder, folder / "uploads"):
        path.mkdir()
        os.chown(path, user, user)
    return folder


def _ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def _until(reached: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends:
        if process.poll() is not None:
            raise SystemExit(f"image-check: the container ended with exit code {process.returncode}")
        if reached():
            return
        time.sleep(1)
    raise SystemExit(f"image-check: waited {PATIENCE_S} s in vain")


def _programs(pid: int, name: str) -> list[int]:
    """Processes below ``pid`` that run a program, and not the tool that runs the container."""
    return [child for child in _descendants(pid) if name in _command(child) and "buildah" not in _command(child)]


def _descendants(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []
    return [descendant for child in children for descendant in (child, *_descendants(child))]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
