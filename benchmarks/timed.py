"""Commands by the clock, and whether anybody else used the machine meanwhile."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from skipseg.service.bench.machine import watch_the_others


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
    others, began = watch_the_others(), time.monotonic()
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
    return Timed(seconds, others())
