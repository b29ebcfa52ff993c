"""The way back, kept only where somebody asks for it: the secret that pseudonyms are drawn from, and their table.

Whoever has the file can say whose scan it was. It is its owner's alone, and a later run goes on with it.
"""

from __future__ import annotations

import os
import stat
from binascii import unhexlify
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from skipseg.models.durable import write_whole
from skipseg.models.errors import UsageError
from skipseg.training.deidentify.pseudonyms import SECRET_BYTES, Pseudonyms


class _KeyFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    secret: Annotated[str, StringConstraints(pattern=rf"^[0-9a-f]{{{2 * SECRET_BYTES}}}$")]
    patients: dict[str, str] = {}
    uids: dict[str, str] = {}


@contextmanager
def going_on(path: Path) -> Iterator[Pseudonyms]:
    """The pseudonyms of an earlier run, or new ones; what is added to them is kept however the block ends.

    The secret is on disk before anything is drawn from it. Raises ``UsageError`` for a file that is no such table, that
    others than its owner can read, or that another run goes on with; ``OSError``.
    """
    lock = FileLock(f"{path}.lock", timeout=0, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        raise UsageError("another run goes on with the file of --mapping; wait until it has ended") from None
    try:
        pseudonyms = _read(path) if path.exists() else Pseudonyms()
        _save(pseudonyms, path)
        try:
            yield pseudonyms
        finally:
            _save(pseudonyms, path)
    finally:
        lock.release()


def _read(path: Path) -> Pseudonyms:
    if os.name != "nt" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise UsageError("others than its owner can read the file of --mapping; chmod 600 it, as it names patients")
    try:
        kept = _KeyFile.model_validate_json(path.read_bytes())
    except ValidationError:
        raise UsageError("the file of --mapping is none that this command wrote; name another, which is made") from None
    return Pseudonyms(unhexlify(kept.secret), kept.uids, kept.patients)


def _save(pseudonyms: Pseudonyms, path: Path) -> None:
    """The old table or the new one is there at any time."""
    kept = _KeyFile(secret=pseudonyms.secret.hex(), patients=pseudonyms.patients, uids=pseudonyms.uids)
    write_whole(path, kept.model_dump_json(indent=1).encode(), 0o600)
