"""The chain of a TIFF's directories, walked before tifffile is: it would follow a circle for ever.

TIFF 6.0 section 2; BigTIFF has the same structure in wider fields.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from skipseg.models.errors import ScanCorrupt, ScanTooLarge

_MOST_PAGES = 10_000
_MOST_TAGS = 1_000  # of one page
_MOST_SEGMENTS = 1_000_000  # strips or tiles of one page
_SEGMENT_TAGS = (273, 279, 324, 325)
_VALUE_BYTES = np.array([1, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 1, 1, 8, 8, 8] + [1] * 237)  # by type of tag


@dataclass(frozen=True)
class _Layout:
    """How wide the fields of a directory are."""

    number: str  # of tags
    tag: np.dtype[np.void]
    pointer: str  # to the next directory
    first: int  # where the pointer to the first directory stands


def is_tiff(head: bytes) -> bool:
    """Classic and BigTIFF, of either byte order."""
    return head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"))


def check_structure(file: BinaryIO, length: int) -> None:
    """Raise ``ScanCorrupt`` or ``ScanTooLarge`` unless every directory is met once and all tags fit into the file."""
    layout = _layout(file.read(4))
    position, seen, used = _number(file, layout.first, layout.pointer), set[int](), 0
    while position:
        if position in seen or len(seen) == _MOST_PAGES:
            raise ScanTooLarge(f"a TIFF may have at most {_MOST_PAGES:,} pages; the pages of this one do not end there")
        seen.add(position)
        tags = _tags(file, position, layout)
        used += _bytes_used(tags)
        if used > length:
            raise ScanCorrupt("the tags of the TIFF claim more than the whole file; copy or export it again")
        position = _number(file, file.tell(), layout.pointer)


def _layout(head: bytes) -> _Layout:
    order = "<" if head.startswith(b"II") else ">"
    if b"+" in head:
        fields = [("code", "u2"), ("type", "u2"), ("count", "u8"), ("value", "V8")]
        return _Layout(f"{order}u8", _tag(fields, order), f"{order}u8", first=8)
    fields = [("code", "u2"), ("type", "u2"), ("count", "u4"), ("value", "V4")]
    return _Layout(f"{order}u2", _tag(fields, order), f"{order}u4", first=4)


def _tag(fields: list[tuple[str, str]], order: str) -> np.dtype[np.void]:
    return np.dtype([(name, kind if kind.startswith("V") else order + kind) for name, kind in fields])


def _number(file: BinaryIO, position: int, kind: str) -> int:
    file.seek(position)
    data = file.read(np.dtype(kind).itemsize)
    if len(data) < np.dtype(kind).itemsize:
        raise ScanCorrupt("the TIFF ends before its list of pages does; copy or upload it again")
    return int(np.frombuffer(data, kind)[0])


def _tags(file: BinaryIO, position: int, layout: _Layout) -> NDArray[np.void]:
    if position > file.seek(0, io.SEEK_END):
        raise ScanCorrupt("the TIFF ends before its list of pages does; copy or upload it again")
    number = _number(file, position, layout.number)
    if number > _MOST_TAGS:
        raise ScanTooLarge(f"a TIFF page may have at most {_MOST_TAGS:,} tags; this one claims {number:,}")
    data = file.read(number * layout.tag.itemsize)
    return np.frombuffer(data[: len(data) // layout.tag.itemsize * layout.tag.itemsize], layout.tag)


def _bytes_used(tags: NDArray[np.void]) -> int:
    """Bytes of all values, as Python integers; ``ScanTooLarge`` for more segments than a page may have."""
    counts = [int(count) for count in tags["count"]]
    if any(count > _MOST_SEGMENTS for count, code in zip(counts, tags["code"], strict=True) if code in _SEGMENT_TAGS):
        raise ScanTooLarge(f"a TIFF page may have at most {_MOST_SEGMENTS:,} strips or tiles; save it in larger ones")
    sizes = _VALUE_BYTES[np.minimum(tags["type"], 255)]
    return sum(count * int(size) for count, size in zip(counts, sizes, strict=True))
