"""Who gives way to whom on a processor."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from jobs import until
from servers import PATIENCE_S, environment


@pytest.mark.skipif(sys.platform != "linux", reason="sessions have a priority on Linux alone")
@pytest.mark.parametrize(("more", "nice"), [(["--supervised"], 10), ([], 0)])
def test_the_servers_own_worker_gives_way_and_one_begun_by_hand_does_not(tmp_path: Path, more, nice) -> None:
    log = tmp_path / "worker.log"
    command = [sys.executable, "-m", "skipseg", "worker", *more, "--data", str(tmp_path)]
    begun = {"stdin": subprocess.PIPE, "env": environment({}), "start_new_session": True}
    with log.open("wb") as lines, subprocess.Popen(command, stderr=lines, **begun) as worker:
        until(lambda: "worker ready" in log.read_text(), within=PATIENCE_S)
        threads = os.listdir(f"/proc/{worker.pid}/task")
        priorities = {priority for thread in threads if (priority := priority_of(int(thread))) is not None}
        session = Path(f"/proc/{worker.pid}/autogroup")
        told = session.read_text().split()[-1] if session.exists() else None  # where the system has no such groups
        worker.terminate()
        assert worker.wait(PATIENCE_S) == 0
    assert priorities == {max(os.getpriority(os.PRIO_PROCESS, 0), nice)}
    assert told in (str(nice), None)


def priority_of(thread: int) -> int | None:
    """None of one that has ended."""
    with suppress(ProcessLookupError):
        return os.getpriority(os.PRIO_PROCESS, thread)
    return None
