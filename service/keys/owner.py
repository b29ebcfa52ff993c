"""Whose a file in the data folder is: what root makes there must be readable by the user that serves."""

from __future__ import annotations

import os
from pathlib import Path


def hand_to_owner_of(folder: Path, file: Path) -> None:
    """As root, give a file to whom its folder belongs; nobody else can, or needs to."""
    if not (hasattr(os, "geteuid") and os.geteuid() == 0):
        return
    owner, now = folder.stat(), file.stat()
    if (owner.st_uid, owner.st_gid) != (now.st_uid, now.st_gid):
        os.chown(file, owner.st_uid, owner.st_gid)
