"""The text headers of NRRD and MetaImage, read here and written anew for ITK.

Both formats can name other files as the place of their voxels, and ITK would open them. It also reads numbers across
line ends, so that a line too short for its key swallows the line below and a hidden one takes its place. Therefore ITK
never sees a user's header: only the fields that place and describe voxels are taken over, each checked for its form.
Formats: https://teem.sourceforge.net/nrrd/format.html, https://itk.org/Wiki/MetaIO/Documentation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from skipseg.models.errors import ScanCorrupt, ScanFormatUnknown, ScanUnusable

MOST_HEADER_BYTES = 64 * 1024

_NRRD_PLACE = ("space", "space directions", "space origin")
_NRRD_FIELDS = (
    *("type", "dimension", "sizes", "encoding", "endian", "byte skip", "line skip"),
    *("spacings", "kinds", "centerings", "axis mins", "thicknesses", "space dimension", *_NRRD_PLACE),
)
_META_START = re.compile(rb"\s*(ObjectType|ObjectSubType|NDims|Comment)[ \t]*=")
_META_LINE = re.compile(r"\s*(\w+)[ \t]*[=:](.*)")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_META_FLAGS = ("BinaryData", "CompressedData", "BinaryDataByteOrderMSB", "ElementByteOrderMSB")
_META_NUMBERS = {"ElementNumberOfChannels": 0, "CompressedDataSize": 0}  # how many numbers: a power of the dimensions
_META_NUMBERS |= dict.fromkeys(("DimSize", "ElementSpacing", "ElementSize", "Offset", "Position", "Origin"), 1)
_META_NUMBERS |= dict.fromkeys(("TransformMatrix", "Rotation", "Orientation"), 2)


@dataclass(frozen=True)
class TextHeader:
    """What has to be known before ITK reads the voxels."""

    compressed: bool
    length: int  # bytes before the voxels in the user's file
    clean: bytes  # the header for ITK
    place: tuple[tuple[str, str], ...] = ()  # NRRD's placing fields word for word, so that a mask can repeat them


def is_nrrd(head: bytes) -> bool:
    return re.match(rb"NRRD000[1-5]\s", head) is not None


def is_mha(head: bytes) -> bool:
    return _META_START.match(head) is not None


def parse_nrrd(head: bytes, file_bytes: int) -> TextHeader:
    """The header of an NRRD whose voxels follow in the same file, raw or gzip.

    Raises ``ScanCorrupt`` or ``ScanFormatUnknown``.
    """
    text = _text_before(head, rb"\r?\n\r?\n", "NRRD")
    magic, *lines = re.split(r"[\r\n]+", text.strip())
    pairs = [line.partition(":") for line in lines if not line.startswith("#")]
    fields = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if "data file" in fields or "datafile" in fields:
        raise ScanFormatUnknown("this NRRD header keeps its voxels in another file; save it as one .nrrd file")
    encoding = fields.get("encoding", "").lower()
    if encoding not in ("raw", "gzip", "gz"):
        raise ScanFormatUnknown("NRRD voxels must be encoded raw or gzip; these are not; save them again")
    kept = [f"{name}: {fields[name]}" for name in _NRRD_FIELDS if name in fields]
    place = tuple((name, fields[name]) for name in _NRRD_PLACE if name in fields)
    clean = "\n".join([magic.strip(), *kept, "", ""]).encode("latin-1")
    return TextHeader(encoding != "raw", len(text), clean, place if len(place) == len(_NRRD_PLACE) else ())


def parse_mha(head: bytes, file_bytes: int) -> TextHeader:
    """The header of a MetaImage whose voxels follow in the same file, as binary numbers.

    Raises ``ScanCorrupt``, ``ScanFormatUnknown`` or ``ScanUnusable``.
    """
    text = _text_before(head, rb"(?m)^[ \t]*ElementDataFile[^\n]*\n", "MetaImage")
    matches = [_META_LINE.fullmatch(line) for line in re.split(r"[\r\n]+", text)]
    fields = {match[1]: match[2].strip() for match in matches if match}
    if fields.get("ElementDataFile", "").upper() != "LOCAL":
        raise ScanFormatUnknown("this MetaImage header keeps its voxels in another file; save it as one .mha file")
    if not _is_true(fields, "BinaryData", default=True):
        raise ScanFormatUnknown("MetaImage voxels must be binary; these are text; save them again")
    if fields.get("HeaderSize", "0") != "0":
        raise ScanFormatUnknown("MetaImage voxels must follow right behind the header (HeaderSize 0); save them again")
    clean = _clean_mha(fields)
    if int(fields.get("CompressedDataSize", "0")) > file_bytes:
        raise ScanCorrupt(
            f"the header claims more compressed voxels than the file's {file_bytes:,} bytes; copy it again"
        )
    return TextHeader(_is_true(fields, "CompressedData", default=False), len(text), clean)


def _text_before(head: bytes, end: bytes, kind: str) -> str:
    """The header, up to and with its ``end``."""
    found = re.search(end, head)
    if found is None:
        raise ScanCorrupt(f"the {kind} header has no end within {MOST_HEADER_BYTES:,} bytes; copy or export it again")
    return head[: found.end()].decode("latin-1")


def _clean_mha(fields: Mapping[str, str]) -> bytes:
    dimensions = fields.get("NDims", "")
    if dimensions not in ("2", "3"):
        raise ScanUnusable("a scan has 2 or 3 dimensions (NDims); this header claims something else; split it first")
    if not re.fullmatch(r"MET_[A-Z_]+", fields.get("ElementType", "")):
        raise ScanCorrupt("a MetaImage header must name its ElementType, such as MET_SHORT; export it again")
    lines = ["ObjectType = Image", f"NDims = {dimensions}"]
    lines += [f"{key} = {_is_true(fields, key, default=False)}" for key in _META_FLAGS if key in fields]
    for key, power in _META_NUMBERS.items():
        if key in fields:
            lines.append(f"{key} = {_numbers(key, fields[key], int(dimensions) ** power)}")
    return "\n".join([*lines, f"ElementType = {fields['ElementType']}", "ElementDataFile = LOCAL", ""]).encode()


def _numbers(key: str, value: str, count: int) -> str:
    """``count`` numbers with single spaces between; whole and without sign where they count something."""
    words = value.split()
    counts = key in ("DimSize", "ElementNumberOfChannels", "CompressedDataSize")
    if len(words) != count or not all(re.fullmatch(r"\d{1,18}", w) if counts else _NUMBER.fullmatch(w) for w in words):
        raise ScanCorrupt(
            f"{key} of a MetaImage header must be {count} {'counts' if counts else 'numbers'}; export it again"
        )
    return " ".join(words)


def _is_true(fields: Mapping[str, str], name: str, default: bool) -> bool:
    return fields[name][:1] in ("T", "t", "1") if name in fields else default
