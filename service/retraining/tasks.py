"""What the child process is told to do: a JSON file in the job's folder."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter

from skipseg.models.precision import Mode


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Share(_Frozen):
    """How much of the machine a child may take; serving comes first."""

    device: str = "auto"
    device_share: float = 0.5  # of a GPU's memory
    memory: int = 0  # bytes of main memory; 0: half of what is free when it starts
    threads: int = 1
    nice: int = 15


class TrainTask(_Frozen):
    """A bundle at ``out``, trained on ``dataset`` without the cases that the file ``validation`` names."""

    kind: Literal["train"] = "train"
    share: Share
    dataset: Path
    out: Path
    validation: Path
    minutes: float
    seed: int
    name: str
    base: Path | None
    base_version: int | None
    replay: tuple[Path, ...]


class CompareTask(_Frozen):
    """``comparison.json`` and a report in ``out``: two bundles on the same cases."""

    kind: Literal["compare"] = "compare"
    share: Share
    a: Path
    a_name: str
    b: Path
    b_name: str
    dataset: Path
    cases: tuple[str, ...]
    out: Path
    precision: Mode


class Failure(_Frozen):
    """Why a child ended without what it was asked for."""

    code: str
    message: str


Task = TrainTask | CompareTask
TASK: TypeAdapter[Task] = TypeAdapter(Task)
TASK_FILE, FAILURE_FILE, COUNT_FILE = "task.json", "failure.json", "compared.txt"
LISTENING = "listening"  # a file that is there once SIGTERM does not simply end the child
EXIT_FAILED = 1
