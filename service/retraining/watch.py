"""A child process, watched until it ends: what it does meanwhile is told, a cancel is passed on, its end explained."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from skipseg.models.errors import TrainingFailed
from skipseg.service.retraining.tasks import FAILURE_FILE, LISTENING, TASK_FILE, Failure, Task

LOOK_S = 0.5  # between two looks at a child
LOG = "child.log"
CHILD = "skipseg.service.retraining.child"
KILLED = (
    "the training was killed from outside (signal 9), which is what a machine does that runs out of memory; give it "
    "less to do or more memory, then retry the job: it goes on where it was"
)


@dataclass(frozen=True)
class Watch:
    """Whom to ask whether to go on, and to tell how far it is."""

    look: Callable[[], None]
    cancelled: Callable[[], bool] = lambda: False
    has_begun: Callable[[], bool] = lambda: True  # whether there is anything that a cancel would lose


def run_child(task: Task, folder: Path, watch: Watch) -> bool:
    """Do a task in a process of its own; False when it was cancelled before it had anything to show.

    Raises ``TrainingFailed`` saying why it came to nothing.
    """
    (folder / TASK_FILE).write_text(task.model_dump_json(), encoding="utf-8")
    for left in (FAILURE_FILE, LISTENING):
        (folder / left).unlink(missing_ok=True)
    command = [sys.executable, "-m", CHILD, str(folder / TASK_FILE)]
    with (
        (folder / LOG).open("ab") as log,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env=_environment(task.share.threads),
            start_new_session=True,  # Ctrl-C is meant for the server
        ) as child,
    ):
        try:
            code = _ended(child, watch, folder / LISTENING)
        except BaseException:
            child.kill()
            raise
    if code is None:
        return False
    if code != 0:
        raise TrainingFailed(_reason(code, folder))
    return True


def _ended(child: subprocess.Popen[bytes], watch: Watch, listening: Path) -> int | None:
    """The exit code; None when it was ended before it had begun."""
    while True:
        try:
            return child.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            watch.look()
        if watch.cancelled() and not watch.has_begun():
            child.kill()
            return None
        if watch.cancelled() and listening.is_file():
            child.send_signal(signal.SIGTERM)  # again and again: before a fit that is resumed begins nobody heeds it


def _environment(threads: int) -> Mapping[str, str]:
    """Few threads, and none that spin while they wait: a core that waits is a core for serving."""
    few = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    return {**os.environ, **few, "OMP_WAIT_POLICY": "passive"}


def _reason(code: int, folder: Path) -> str:
    try:
        failure = Failure.model_validate_json((folder / FAILURE_FILE).read_bytes())
        return failure.message.replace(str(folder), "the job's folder")
    except (OSError, ValidationError):
        pass
    if code == -signal.SIGKILL:
        return KILLED
    name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return (
        f"the training process ended abruptly ({name}), as it may when it runs out of the memory it may take "
        f"(SKIPSEG_TRAIN_MEMORY); {LOG} in the job's folder has its last words; retry the job: it goes on where it was"
    )
