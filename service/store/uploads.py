"""Files that were uploaded for later calls: on disk whole, or not at all.

    DATA/uploads/ID/content        the bytes
    DATA/uploads/ID/upload.json    what they are; written last

A scan's file name may be a patient's: it is kept in ``upload.json`` and nowhere else.
"""

from __future__ import annotations

import os
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Literal
from zipfile import is_zipfile

from pydantic import BaseModel, ConfigDict, ValidationError

from skipseg.models.durable import settle, write_whole
from skipseg.models.errors import UploadUnknown

ID = re.compile(r"[0-9a-f]{32}")
CONTENT, ABOUT = "content", "upload.json"

UploadKind = Literal["zip", "file"]


class Upload(BaseModel):
    """One upload."""

    model_config = ConfigDict(frozen=True)

    id: str
    kind: UploadKind
    name: str  # as its sender calls it, without folders
    bytes: int
    sha256: str
    made: datetime


class UploadStore:
    """The uploads of one server."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def draft(self) -> Path:
        """A new folder for the bytes to come, which ``keep`` or ``drop`` ends."""
        self.root.mkdir(parents=True, exist_ok=True)
        folder = self.root / f".{token_hex(16)}"
        folder.mkdir()
        return folder

    def keep(self, draft: Path, name: str, sha256: str) -> Upload:
        """What lies in ``draft/content``, from now on an upload."""
        content = draft / CONTENT
        upload = Upload(
            id=draft.name.removeprefix("."),
            kind="zip" if is_zipfile(content) else "file",
            name=re.split(r"[/\\]", name)[-1][:200],
            bytes=content.stat().st_size,
            sha256=sha256,
            made=datetime.now(UTC),
        )
        write_whole(draft / ABOUT, upload.model_dump_json().encode())
        os.rename(draft, self.root / upload.id)
        settle(self.root)
        return upload

    def drop(self, draft: Path) -> None:
        """Forget a draft."""
        shutil.rmtree(draft, ignore_errors=True)

    def get(self, id: str) -> Upload:
        """Raises ``UploadUnknown``."""
        try:
            if ID.fullmatch(id):
                return Upload.model_validate_json((self.root / id / ABOUT).read_bytes())
        except (OSError, ValidationError):
            pass
        raise UploadUnknown("there is no such upload; it may have expired: POST the file to /v1/uploads again")

    def content(self, upload: Upload) -> Path:
        """The file with its bytes."""
        return self.root / upload.id / CONTENT

    def all(self) -> list[Upload]:
        """Every upload, oldest first."""
        found = []
        for path in self.root.glob(f"[!.]*/{ABOUT}"):
            try:
                found.append(Upload.model_validate_json(path.read_bytes()))
            except (OSError, ValidationError):
                continue
        return sorted(found, key=lambda upload: upload.made)

    def remove(self, upload: Upload) -> None:
        """Delete an upload."""
        shutil.rmtree(self.root / upload.id, ignore_errors=True)
