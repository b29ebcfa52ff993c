"""Scans as one zip archive in a multipart form, made while it is sent: not on disk, and never whole in memory."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from secrets import token_hex
from typing import Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

BLOCK = 2**20
COMPRESSED = (".gz", ".png", ".tif", ".tiff")


def form_of(scans: Mapping[str, Path], part: str = "file") -> dict[str, Any]:
    """Keywords of a request whose ``part`` is an archive of these files, called as the keys say.

    What is sent raises ``OSError`` when a file cannot be read.
    """
    boundary = token_hex(16)
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    return {"content": _form(boundary, part, zipped(scans)), "headers": headers}


def _form(boundary: str, part: str, blocks: Iterator[bytes]) -> Iterator[bytes]:
    head = f'Content-Disposition: form-data; name="{part}"; filename="scans.zip"\r\nContent-Type: application/zip'
    yield f"--{boundary}\r\n{head}\r\n\r\n".encode()
    yield from blocks
    yield f"\r\n--{boundary}--\r\n".encode()


def zipped(scans: Mapping[str, Path]) -> Iterator[bytes]:
    """The bytes of the archive."""
    sent = _Sent()
    with ZipFile(sent, "w") as archive:
        for name, path in scans.items():
            member = ZipInfo(name)
            member.compress_type = ZIP_STORED if name.lower().endswith(COMPRESSED) else ZIP_DEFLATED
            member.external_attr = 0o600 << 16
            with path.open("rb") as file, archive.open(member, "w", force_zip64=True) as into:
                while block := file.read(BLOCK):
                    into.write(block)
                    yield sent.taken()
    yield sent.taken()


class _Sent(io.RawIOBase):
    """What ``ZipFile`` writes, to be taken bit by bit."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def write(self, content: Any) -> int:
        self._bytes += content
        return len(content)

    def taken(self) -> bytes:
        taken = bytes(self._bytes)
        self._bytes.clear()
        return taken
