"""How much of the processor a process of ours claims beside those that somebody waits for."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

SESSION = Path("/proc/self/autogroup")  # on Linux; see sched(7)


def give_way(by: int) -> None:
    """Lower the priority of this process, which leads a session of its own, by so many steps of ``nice``.

    Linux schedules the processes of a session as a group, with a priority of its own.
    """
    with suppress(OSError, AttributeError):
        os.nice(by)
    with suppress(OSError):
        SESSION.write_text(str(by))
