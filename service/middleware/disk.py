"""Room on the disk: looked for before an upload is taken, so that what is kept already can always be written on."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from anyio.to_thread import run_sync
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from skipseg.service.observing.logs import NAME
from skipseg.service.problems import told
from skipseg.service.refusals import DiskFull

log = logging.getLogger(NAME)

FRESH_S = 1.0  # for so long what was free, less what came since, may let somebody in; nobody is refused by it
SMALL = 1 << 20  # bytes of a body that is no form: it is kept in memory, and may be what frees the disk


def check_disk(folders: Iterable[Path], least: int, coming: int = 0) -> None:
    """Raise ``DiskFull`` unless every folder's disk has ``least`` bytes free beside those that are ``coming``."""
    _check(free_on(folders), least, coming)


def free_on(folders: Iterable[Path]) -> int:
    """Bytes free on the fullest of the folders' disks."""
    return min(shutil.disk_usage(_that_is_there(folder)).free for folder in folders)


def _check(free: int, least: int, coming: int) -> None:
    if free - coming < least:
        raise DiskFull(
            f"uploads are taken while {least:,} bytes of the server's disk stay free (SKIPSEG_MIN_FREE_BYTES); "
            f"{free:,} are, and {coming:,} are coming; free space there, or try again later"
        )


@contextmanager
def disk_permitting() -> Iterator[None]:
    """Raise ``DiskFull`` in place of what the system raises where what was sent cannot be kept."""
    try:
        yield
    except OSError as error:
        log.error("not kept", extra={"fields": {"reason": os.strerror(error.errno or 0)}})
        raise DiskFull("the server's disk could not keep what was sent; free space there, or try again later") from None


class DiskBound:
    """ASGI middleware: an upload is refused with 507, unread, when the disk for it or for what is kept is short.

    One of more than ``most`` bytes is left to the bound on bodies, which no disk would change.
    """

    def __init__(self, app: ASGIApp, data: Path, least: int, most: int) -> None:
        self.app = app
        self._folders, self._least, self._most = (data, Path(tempfile.gettempdir())), least, most
        self._free, self._asked = 0, -FRESH_S

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._least:
            return await self.app(scope, receive, send)
        try:
            await self._check(Headers(scope=scope))
        except DiskFull as error:
            return await told(Request(scope), error)(scope, receive, send)
        await self.app(scope, receive, send)

    async def _check(self, headers: Headers) -> None:
        announced = headers.get("content-length", "")
        coming = int(announced) if announced.isdecimal() else 0
        is_form = headers.get("content-type", "").startswith("multipart/form-data")
        if coming <= self._most and (is_form or coming > SMALL or "transfer-encoding" in headers):
            is_fresh = announced and monotonic() - self._asked < FRESH_S
            if not is_fresh or self._free - coming < self._least:
                self._free, self._asked = await run_sync(free_on, self._folders), monotonic()
                _check(self._free, self._least, coming)
            self._free -= coming


def _that_is_there(folder: Path) -> Path:
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
