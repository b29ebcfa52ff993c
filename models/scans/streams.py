"""Scan files as streams of bytes, plain or gzip, handed out in blocks so that a bomb never unfolds in memory."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from isal import igzip, isal_zlib

from skipseg.models.errors import ScanCorrupt, UsageError

ScanSource = Path | bytes  # a scan as users have it: a file, or what came over the network

BLOCK = 1024 * 1024  # bytes decoded at a time; a multiple of every voxel size
MAX_DEFLATE_RATIO = 1032  # no deflate stream expands further (zlib's technical notes); more is a false claim
GZIP_MAGIC = b"\x1f\x8b"
InflateError = cast(type[Exception], isal_zlib.error)


def open_source(source: ScanSource) -> BinaryIO:
    """The bytes of a scan from their beginning; ``UsageError`` when the file cannot be opened."""
    if isinstance(source, bytes):
        return io.BytesIO(source)
    try:
        return source.open("rb")
    except OSError as problem:
        raise UsageError(f"the scan cannot be opened: {problem.strerror}; check the path and its rights") from problem


def byte_count(source: ScanSource) -> int:
    """Bytes of a scan as it comes, compressed or not."""
    with open_source(source) as file:
        return file.seek(0, io.SEEK_END)


def starts_with(source: ScanSource, count: int) -> bytes:
    """The first ``count`` bytes, or all there are."""
    with open_source(source) as file:
        return file.read(count)


def gunzip(file: BinaryIO) -> BinaryIO:
    """The content of a gzip file of any number of members, checksums verified at each member's end."""
    return cast(BinaryIO, igzip.IGzipFile(fileobj=file, mode="rb"))


def gunzip_start(data: bytes, count: int) -> bytes:
    """Up to ``count`` bytes of what the beginning of a gzip file holds."""
    with gzip_errors():
        return bytes(isal_zlib.decompressobj(wbits=31).decompress(data, max_length=count))


@contextmanager
def gzip_errors() -> Iterator[None]:
    """Say ``ScanCorrupt`` where gzip data is damaged, cut short or followed by something else."""
    try:
        yield
    except EOFError as problem:
        raise ScanCorrupt(
            "the gzip data is cut short, or followed by something else; copy or upload the file again"
        ) from problem
    except (igzip.BadGzipFile, InflateError) as problem:
        raise ScanCorrupt(f"the gzip data is damaged ({problem}); copy or upload the file again") from problem


def fill(stream: BinaryIO, buffer: memoryview) -> None:
    """Read exactly ``len(buffer)`` bytes into ``buffer``; ``ScanCorrupt`` when the stream ends before that."""
    done = 0
    while done < len(buffer):
        count = stream.readinto(buffer[done:])  # type: ignore[attr-defined]
        if not count:
            raise ScanCorrupt("the file ends before the voxels its header claims; copy or upload it again")
        done += count


def skip(stream: BinaryIO, count: int) -> None:
    """Read ``count`` bytes and forget them; ``ScanCorrupt`` when the stream ends before that."""
    scratch = memoryview(bytearray(min(count, BLOCK)))
    while count:
        part = min(count, BLOCK)
        fill(stream, scratch[:part])
        count -= part
