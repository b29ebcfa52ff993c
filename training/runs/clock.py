"""When this run began, as its user sees it: when the command was given."""

from __future__ import annotations

import os
import time
from pathlib import Path

from skipseg import BEGAN

START = 5.0  # seconds at most from the making of a process to its first line of ours
TORCHRUN_START = 60.0  # the same of a process that torchrun makes; it reads torch before


def command_given() -> float:
    """When this process was made, on the clock of ``time.monotonic``; under ``torchrun`` when that was.

    A shell at its last command becomes that command, and keeps its age: what took longer than a start takes is not
    counted, and then, as where the system does not tell (other than Linux), the run began with the first line of ours.
    """
    several = "TORCHELASTIC_RUN_ID" in os.environ
    made = _made(os.getppid() if several else os.getpid())
    return made if made is not None and BEGAN - made <= (TORCHRUN_START if several else START) else BEGAN


def _made(pid: int) -> float | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError, IndexError):
        return None
    return time.monotonic() - max(age, 0.0)
