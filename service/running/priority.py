"""How much of the processor a process of ours claims beside those that somebody waits for."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

SESSION = Path("/proc/self/autogroup")  # on Linux; see sched(7)


def give_way(nice: int) -> None:
    """Lower the priority of this process, which leads a session of its own, to ``nice`` unless it is lower already.

    To be called before there are threads, which have priorities of their own. Linux also schedules the processes of a
    session as a group, which has one. Where a system has neither, nothing changes.
    """
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, 0, max(nice, os.getpriority(os.PRIO_PROCESS, 0)))
    with suppress(OSError):
        SESSION.write_text(str(nice))
