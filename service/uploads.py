"""Multipart parts as sources that a reader can read."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartParser

from skipseg.models.errors import UsageError
from skipseg.models.scans.limits import Limits
from skipseg.service.middleware.disk import disk_permitting
from skipseg.service.observing.logs import NAME

log = logging.getLogger(NAME)

PART = "scan"
OTHER_FIELDS = 16  # form fields beside the scans that are put up with


@asynccontextmanager
async def uploaded_scans(request: Request, limits: Limits) -> AsyncIterator[list[UploadFile]]:
    """The parts called ``scan`` in order, spooled to disk when they are large, and gone afterwards.

    Raises ``UsageError`` when the body is no multipart form or has no such part, ``DiskFull`` when the disk is.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise UsageError(f"send the scan as the part {PART!r} of multipart/form-data, such as: curl -F {PART}=@FILE")
    form = await _read_form(request, limits.channels)
    try:
        yield _scans(form)
    finally:
        await form.close()


async def _read_form(request: Request, most: int) -> FormData:
    with disk_permitting():
        return await request.form(max_files=most, max_fields=OTHER_FIELDS)


def _scans(form: FormData) -> list[UploadFile]:
    scans = [part for part in form.getlist(PART) if isinstance(part, UploadFile)]
    if not scans:
        names = ", ".join(sorted(set(form))[:5]) or "none"
        raise UsageError(f"the form has no file part called {PART!r} (it has: {names}), such as: curl -F {PART}=@FILE")
    return scans


def source_of(upload: UploadFile) -> Path | bytes:
    """The bytes of a small upload, which are in memory already; a path to a large one, which is on disk.

    The file has no name on disk: on Linux its descriptor is one. Elsewhere it is read into memory.
    """
    if sys.platform != "linux" or (upload.size or 0) <= MultiPartParser.spool_max_size:
        return upload.file.read()
    upload.file.flush()
    return Path(f"/proc/self/fd/{upload.file.fileno()}")
