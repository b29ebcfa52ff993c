"""When this run began, as its user sees it: when the command was given."""

from __future__ import annotations

import os
import time
from pathlib import Path


def process_started() -> float:
    """When this process was made, on the clock of ``time.monotonic``; under ``torchrun`` when that was.

    Where the system does not tell (other than Linux), now.
    """
    pid = os.getppid() if "TORCHELASTIC_RUN_ID" in os.environ else os.getpid()
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError, IndexError):
        return time.monotonic()
    return time.monotonic() - max(age, 0.0)
