"""Which version of a model is live, and was before: a small file that one process at a time may change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from skipseg.models.durable import write_whole
from skipseg.models.errors import ModelConflict

POINTER, LOCK = "live.json", ".lock"
PATIENCE_S = 30.0  # changes take milliseconds


class Pointer(BaseModel):
    """What ``live.json`` holds."""

    model_config = ConfigDict(frozen=True)

    history: tuple[int, ...]
    highest: int = 0  # number that was ever removed; files of old do not say

    @field_validator("history")
    @classmethod
    def _every_step_changes_something(cls, history: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(version for version, _ in groupby(history))

    @property
    def live(self) -> int | None:
        return self.history[-1] if self.history else None

    def with_history(self, history: Sequence[int]) -> Pointer:
        return Pointer(history=tuple(history), highest=self.highest)


class PointerFile:
    """``live.json`` in the folder of a model; ``otherwise`` is what counts where there is none yet."""

    def __init__(self, folder: Path, otherwise: Pointer) -> None:
        self.path, self.otherwise = folder / POINTER, otherwise

    @property
    def live(self) -> int | None:
        """The live version; None as well when the file is damaged."""
        try:
            return self.read().live
        except ModelConflict:
            return None

    def read(self) -> Pointer:
        """Raises ``ModelConflict`` when it is damaged."""
        if not self.path.is_file():
            return self.otherwise
        try:
            return Pointer.model_validate_json(self.path.read_bytes())
        except (OSError, ValidationError):
            raise ModelConflict(
                f"live.json of {self.path.parent.name} is damaged or unreadable; promote the version that should be "
                "live"
            ) from None

    def write(self, pointer: Pointer) -> None:
        """Only under ``locked``: what it was made of must not have changed meanwhile."""
        write_whole(self.path, pointer.model_dump_json().encode())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else changes this model meanwhile, in whatever process; raises ``ModelConflict`` if that takes long.

        The operating system holds the lock, so that a process that is killed lets go of it.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path.with_name(LOCK), PATIENCE_S, fallback_to_soft=False, preserve_lock_file=True)
        try:
            lock.acquire()
        except Timeout:
            raise ModelConflict(
                f"another process has been changing {self.path.parent.name} for {PATIENCE_S:.0f} s; try again later"
            ) from None
        try:
            yield
        finally:
            lock.release()
