"""Where the files of a DICOM scan lie: a folder, a zip, some files, or one; each is opened when it is its turn."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from skipseg.models.errors import ScanTooLarge
from skipseg.models.scans.archives import Archive, ArchiveLimits
from skipseg.models.scans.limits import Limits
from skipseg.models.scans.streams import ScanSource, byte_count, open_source, starts_with

DicomSource = ScanSource | Sequence[Path]

MOST_FILES = 100_000
MOST_RATIO = 100  # a zip's files to the zip
STUDY = 8  # so many times a scan's bytes may a zip unpack to, as it may hold a whole study
MOST_HEADER = 64 * 2**20  # bytes of a member of a zip that are unpacked to look at its header
HEAD = 132  # bytes that tell DICOM from all else


@dataclass(frozen=True)
class Part:
    """One file: its size, its first bytes, and the way to all of them."""

    number: int  # among the files of its source, from 0
    size: int  # in bytes
    head: Callable[[], bytes]
    open: Callable[[], BinaryIO]
    start: Callable[[], BinaryIO]  # all of it that a header may take


def is_zip(head: bytes) -> bool:
    """Whether a file that starts with ``head`` is a zip archive, which may be empty."""
    return head.startswith((b"PK\x03\x04", b"PK\x05\x06"))


@contextmanager
def parts_of(source: DicomSource, limits: Limits) -> Iterator[list[Part]]:
    """The files of a source, in their order, readable while the block runs.

    Raises ``UsageError`` for what cannot be opened, ``ScanTooLarge`` for too many files, and what ``Archive`` raises.
    """
    if isinstance(source, bytes) or (isinstance(source, Path) and not source.is_dir()):
        limits.check_bytes(byte_count(source))
        if not is_zip(starts_with(source, HEAD)):
            yield [_file(0, source)]
            return
        most = ArchiveLimits(MOST_FILES, STUDY * limits.file_bytes, MOST_RATIO)
        with Archive(source, most) as archive:
            yield parts_in(archive)
        return
    files = sorted(path for path in source.rglob("*") if path.is_file()) if isinstance(source, Path) else list(source)
    if len(files) > MOST_FILES:
        raise ScanTooLarge(f"a folder may hold at most {MOST_FILES:,} files; this one holds {len(files):,}")
    yield [_file(number, path) for number, path in enumerate(files)]


def parts_in(archive: Archive) -> list[Part]:
    """The members of a zip, in their order, readable as long as it is open."""
    return [
        Part(
            number,
            member.bytes,
            partial(archive.read, member.name, HEAD),
            partial(_member, archive, member.name),
            partial(_member, archive, member.name, MOST_HEADER),
        )
        for number, member in enumerate(archive.members)
    ]


def _file(number: int, source: ScanSource) -> Part:
    opened = partial(open_source, source)
    return Part(number, byte_count(source), partial(starts_with, source, HEAD), opened, opened)


def _member(archive: Archive, name: PurePosixPath, most: int = -1) -> BinaryIO:
    return io.BytesIO(archive.read(name, most))
