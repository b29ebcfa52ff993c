"""Commands by the clock, and whether anybody else used the machine meanwhile."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

COUNTERS = Path("/proc/stat")


class CommandFailed(RuntimeError):
    """A command ended with an error; the message holds the end of what it said."""


@dataclass(frozen=True)
class Timed:
    """What a command took."""

    seconds: float
    others: float | None  # cores that all other processes kept busy, on average; None: the system does not tell


def timed(command: Sequence[object], log: Path, environment: Mapping[str, str] | None = None) -> Timed:
    """Run a command to its end, its output in ``log``. Raises ``CommandFailed``."""
    log.parent.mkdir(parents=True, exist_ok=True)
    told = [str(part) for part in command]
    everybody, own, began = _everybody(), _own(), time.monotonic()
    with log.open("wb") as lines:
        code = subprocess.run(
            told,
            stdin=subprocess.DEVNULL,
            stdout=lines,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
        ).returncode
    seconds = time.monotonic() - began
    if code:
        raise CommandFailed(f"{' '.join(told)} ended with {code}:\n{log.read_text(errors='replace')[-2000:]}")
    busy = _everybody()
    if everybody is None or busy is None:
        return Timed(seconds, None)
    return Timed(seconds, max(0.0, (busy - everybody) - (_own() - own)) / seconds)


def _everybody() -> float | None:
    """Seconds that the cores have been busy since the system started."""
    if not COUNTERS.exists():
        return None
    user, nice, system = map(int, COUNTERS.read_text().split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def _own() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
