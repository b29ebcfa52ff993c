"""Files that are whole after a power cut: what was renamed into place is on the disk before its name is."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from secrets import token_hex

DAY_S = 24 * 3600


def write_whole(path: Path, content: bytes, mode: int = 0o666, before: Callable[[Path], object] | None = None) -> None:
    """Put a file in place of what is there, if anything: the old one or the new one is there, never less.

    ``mode``: who may read it, less what the process' mask takes away; ``before`` is shown the file before it has its
    name. Raises ``OSError`` and leaves nothing behind.
    """
    draft = path.with_name(f".{token_hex(8)}.writing")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if before is not None:
            before(draft)
        os.replace(draft, path)
        settle(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def settle_tree(folder: Path) -> None:
    """Wait until a folder and all that is in it are on the disk."""
    for path in folder.rglob("*"):
        settle(path)
    settle(folder)


def settle(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folders, and writes their names with the files
    number = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def forget_drafts(folder: Path, prefix: str) -> None:
    """Delete what a process that was killed a day ago or longer left half-made in a folder."""
    for path in folder.glob(f"{prefix}*"):
        with suppress(FileNotFoundError):  # its maker is done with it
            if time.time() - path.stat().st_mtime > DAY_S:
                shutil.rmtree(path, ignore_errors=True)
