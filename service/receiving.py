"""One large file of a multipart request, written to disk block by block as it comes in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread
from fastapi import Request
from python_multipart import MultipartParser
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import parse_options_header

from skipseg.models.durable import settle
from skipseg.models.errors import UsageError
from skipseg.service.middleware.disk import disk_permitting

PART = "file"
FLUSH_BYTES = 4 * 2**20  # are gathered before a thread writes them
HEADER_BYTES = 16 * 2**10  # of one part


@dataclass(frozen=True)
class Received:
    """The part ``file``: what its sender calls it, and the sha256 of its bytes."""

    name: str
    sha256: str


async def receive_file(request: Request, to: Path) -> Received:
    """Write the part called ``file`` to ``to``, which must not be there yet.

    Raises ``UsageError`` when the body is no multipart form, is cut short, or does not hold exactly one such part;
    ``DiskFull`` when the disk is; ``ScanTooLarge`` beyond the bound on the request.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise UsageError(f"send the file as the part {PART!r} of multipart/form-data, such as: curl -F {PART}=@FILE")
    with disk_permitting():
        part = _Part(options[b"boundary"])
        with to.open("xb") as file:
            async for block in request.stream():
                part.take(block)
                if len(part.waiting) >= FLUSH_BYTES:
                    await to_thread.run_sync(file.write, part.given())
            await to_thread.run_sync(file.write, part.given())
        await to_thread.run_sync(settle, to)
    return part.ended()


class _Part:
    """A parser that gathers the bytes of the one part it looks for, and skips all others."""

    def __init__(self, boundary: bytes) -> None:
        self.waiting = bytearray()
        self._name: str | None = None
        self._found, self._inside, self._whole = 0, False, False
        self._digest = hashlib.sha256()
        self._field, self._value, self._headers = bytearray(), bytearray(), dict[bytes, bytes]()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": lambda data, start, end: self._header(self._field, data[start:end]),
                "on_header_value": lambda data, start, end: self._header(self._value, data[start:end]),
                "on_header_end": self._header_end,
                "on_headers_finished": self._look,
                "on_part_data": self._data,
                "on_end": self._end,
            },
        )

    def take(self, block: bytes) -> None:
        """Parse some more of the body."""
        try:
            self._parser.write(block)
        except MultipartParseError:
            raise UsageError("the body is no multipart form as RFC 7578 describes it") from None

    def given(self) -> bytes:
        """What has been gathered, which is forgotten."""
        gathered = bytes(self.waiting)
        self.waiting.clear()
        self._digest.update(gathered)
        return gathered

    def ended(self) -> Received:
        """What was found, once the body is through."""
        if not self._whole:
            raise UsageError("the body ended before the form did; send it again")
        if self._found != 1 or self._name is None:
            raise UsageError(f"the form must have exactly one file part called {PART!r}; it has {self._found}")
        return Received(self._name, self._digest.hexdigest())

    def _begin(self) -> None:
        self._headers, self._inside = {}, False

    def _header(self, into: bytearray, data: bytes) -> None:
        if len(into) + len(data) > HEADER_BYTES:
            raise UsageError("a header of a part of the form is too long")
        into.extend(data)

    def _header_end(self) -> None:
        self._headers[bytes(self._field).lower()] = bytes(self._value)
        self._field, self._value = bytearray(), bytearray()

    def _look(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        self._inside = options.get(b"name") == PART.encode() and b"filename" in options
        if self._inside:
            self._found += 1
            self._name = options[b"filename"].decode("utf-8", "replace")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._inside and self._found == 1:
            self.waiting += data[start:end]

    def _end(self) -> None:
        self._whole = True
