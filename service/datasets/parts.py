"""The parts of a multipart form that make a case, as files on disk."""

from __future__ import annotations

import shutil
from pathlib import Path

from fastapi import Request
from starlette.datastructures import FormData, UploadFile

from skipseg.models.errors import UsageError
from skipseg.service.datasets.examining import Sent
from skipseg.service.middleware.disk import disk_permitting

IMAGE, LABEL = "image", "label"
OTHER_FIELDS = 16  # form fields beside the files that are put up with


async def read_case_form(request: Request, most_channels: int) -> FormData:
    """The form, large files of it spooled to disk; to be closed. Raises ``UsageError`` and ``DiskFull``."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise UsageError("send multipart/form-data, such as: curl -X PUT -F image=@SCAN -F label=@MASK")
    with disk_permitting():
        return await request.form(max_files=most_channels + 1, max_fields=OTHER_FIELDS)


def written(form: FormData, draft: Path) -> Sent:
    """The parts as files of ``draft``, under names of ours.

    Raises ``UsageError`` unless there is one label, ``DiskFull``.
    """
    images, labels = (_files(form, part) for part in (IMAGE, LABEL))
    if len(labels) != 1:
        raise UsageError(f"the form must have exactly one file part called {LABEL!r}; it has {len(labels)}")
    with disk_permitting():
        kept = tuple(_write(file, draft / f"image-{number}") for number, file in enumerate(images))
        return Sent(kept, _write(labels[0], draft / "label"))


def _files(form: FormData, part: str) -> list[UploadFile]:
    return [file for file in form.getlist(part) if isinstance(file, UploadFile)]


def _write(file: UploadFile, to: Path) -> Path:
    file.file.seek(0)
    with to.open("xb") as target:
        shutil.copyfileobj(file.file, target, 2**20)
    return to
