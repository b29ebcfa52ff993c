"""The way back, kept only where somebody asks for it: the secret that pseudonyms are drawn from, and their table.

Whoever has the file can say whose scan it was. It is its owner's alone, and a later run goes on with it.
"""

from __future__ import annotations

import os
import stat
from binascii import unhexlify
from pathlib import Path
from typing import Annotated, Literal

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


def opened(path: Path) -> Pseudonyms:
    """The pseudonyms of an earlier run; new ones, whose secret is on disk before anything is drawn from it.

    Raises ``UsageError`` for a file that is no such table, or that others than its owner can read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        pseudonyms = Pseudonyms()
        save(pseudonyms, path)
        return pseudonyms
    if os.name != "nt" and stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise UsageError(
            "the file of --mapping can be read by others than its owner; chmod 600 it, as it names patients"
        )
    try:
        kept = _KeyFile.model_validate_json(content)
    except ValidationError:
        raise UsageError("the file of --mapping is none that this command wrote; name another, which is made") from None
    return Pseudonyms(unhexlify(kept.secret), kept.uids, kept.patients)


def save(pseudonyms: Pseudonyms, path: Path) -> None:
    """Write the table, the old one or the new one at any time. Raises ``OSError``."""
    kept = _KeyFile(secret=pseudonyms.secret.hex(), patients=pseudonyms.patients, uids=pseudonyms.uids)
    write_whole(path, kept.model_dump_json(indent=1).encode(), 0o600)
