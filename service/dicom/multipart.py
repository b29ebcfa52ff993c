"""Bodies of several DICOM files (multipart/related, RFC 2387): written to disk as they come in, sent as they are read.

No file is looked into, and no more is in memory than a block: what a node sends is as large as it likes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from skipseg.models.errors import ScanTooLarge
from skipseg.models.scans.limits import Limits
from skipseg.service.refusals import NodeAway, NodeRefused

BLOCK = 2**20
UNFINISHED = "unfinished"
MOST_FILES = 100_000  # of one series


class PartsToFiles:
    """Takes blocks of a body; gives each part a file of its own, called by its content.

    Raises ``ScanTooLarge`` as soon as there is more than ``limits`` allow, ``NodeRefused`` for what is no such body.
    """

    def __init__(self, content_type: str, folder: Path, limits: Limits) -> None:
        self.folder, self.limits = folder, limits
        self.files, self.bytes, self.is_whole = 0, 0, False
        self._file: BinaryIO | None = None
        self._digest = sha256()
        callbacks = {
            "on_part_begin": self._begin,
            "on_part_data": self._take,
            "on_part_end": self.end,
            "on_end": self._finish,
        }
        self._parser = MultipartParser(_boundary(content_type), callbacks)  # type: ignore[arg-type]

    def write(self, block: bytes) -> None:
        self.bytes += len(block)
        self.limits.check_bytes(self.bytes)
        try:
            self._parser.write(block)
        except FormParserError:
            raise NodeRefused("the node's answer is not what its Content-Type says (multipart/related)") from None

    def close(self) -> None:
        """Raises ``NodeAway`` for a body that was cut short, whatever it held so far."""
        self.end()
        if not self.is_whole:
            raise NodeAway("the node's answer broke off before its end")

    def _begin(self) -> None:
        self.files += 1
        if self.files > MOST_FILES:
            raise ScanTooLarge(f"a series may have at most {MOST_FILES:,} files; the node sends more")
        self._file, self._digest = (self.folder / UNFINISHED).open("wb"), sha256()

    def _take(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._file.write(data[start:end])
            self._digest.update(data[start:end])

    def end(self) -> None:
        if self._file is not None:
            self._file.close()
            (self.folder / UNFINISHED).rename(self.folder / f"{self._digest.hexdigest()}.dcm")
            self._file = None

    def _finish(self) -> None:
        self.is_whole = True


class FileAsPart:
    """One DICOM file as such a body, read while it is sent."""

    def __init__(self, path: Path) -> None:
        self.path, boundary = path, token_hex(16)
        self.content_type = f'multipart/related; type="application/dicom"; boundary={boundary}'
        self._head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        self._foot = f"\r\n--{boundary}--\r\n".encode()

    @property
    def length(self) -> int:
        return len(self._head) + self.path.stat().st_size + len(self._foot)

    def __iter__(self) -> Iterator[bytes]:
        yield self._head
        with self.path.open("rb") as file:
            while block := file.read(BLOCK):
                yield block
        yield self._foot


def _boundary(content_type: str) -> bytes:
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/related" or not boundary:
        raise NodeRefused("the node answers with something else than multipart/related, which it was asked for")
    return boundary


Check = Callable[[], None]  # raises when what is done is not wanted any more
