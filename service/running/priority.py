"""How much of the processor a process of ours claims beside those that somebody waits for."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from time import sleep

AGAIN_S, TRIES = 0.11, 30  # Linux lets one process in 100 ms change its session's priority
SESSION = Path("/proc/self/autogroup")  # on Linux; see sched(7)


def give_way(nice: int) -> None:
    """Lower the priority of this process, which leads a session of its own, to ``nice`` unless it is lower already.

    To be called before there are threads that work, which have priorities of their own. Linux also schedules the
    processes of a session as a group, which has one. Where a system has neither, nothing changes.
    """
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, 0, max(nice, os.getpriority(os.PRIO_PROCESS, 0)))
    for _ in range(TRIES):
        try:
            SESSION.write_text(str(nice))
        except BlockingIOError:
            sleep(AGAIN_S)
        except OSError:
            return
        else:
            return
