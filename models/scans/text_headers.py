"""The text headers of NRRD and MetaImage, looked at before ITK is: only files that carry their own voxels pass.

Both formats can name other files as the place of their voxels, and ITK would open them. So every line must have the
form its format demands (ITK's own parsers are more forgiving, which is how a name could slip through), and the data
must be attached. Formats: https://teem.sourceforge.net/nrrd/format.html, https://itk.org/Wiki/MetaIO/Documentation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from skipseg.models.errors import ScanCorrupt, ScanFormatUnknown

MOST_HEADER_BYTES = 64 * 1024

_SPACE_FIELDS = ("space", "space directions", "space origin")
_META_LINE = re.compile(r"\s*([A-Za-z_]\w*)[ \t]*=[ \t]*(\S.*?)\s*")
_META_START = re.compile(rb"\s*(ObjectType|ObjectSubType|NDims|Comment)[ \t]*=")


@dataclass(frozen=True)
class TextHeader:
    """What has to be known before ITK reads the file."""

    compressed: bool
    length: int  # bytes before the voxels
    space: tuple[tuple[str, str], ...] = ()  # NRRD's placing fields word for word, so that a mask can repeat them


def is_nrrd(head: bytes) -> bool:
    return head.startswith(b"NRRD000")


def is_mha(head: bytes) -> bool:
    return _META_START.match(head) is not None


def check_nrrd(head: bytes, file_bytes: int) -> TextHeader:
    """Raise ``ScanCorrupt`` or ``ScanFormatUnknown`` unless the voxels follow in this file, raw or gzip."""
    text = _text_before(head, rb"\r?\n\r?\n", "NRRD")
    fields = _nrrd_fields(text)
    if "data file" in fields or "datafile" in fields:
        raise ScanFormatUnknown("this NRRD header keeps its voxels in another file; save it as one .nrrd file")
    encoding = fields.get("encoding", "").lower()
    if encoding not in ("raw", "gzip", "gz"):
        raise ScanFormatUnknown(
            f"NRRD voxels must be encoded raw or gzip; these are {encoding[:20]!r}; save them again"
        )
    space = tuple((name, fields[name]) for name in _SPACE_FIELDS if name in fields)
    return TextHeader(encoding != "raw", len(text), space if len(space) == len(_SPACE_FIELDS) else ())


def check_mha(head: bytes, file_bytes: int) -> TextHeader:
    """Raise ``ScanCorrupt`` or ``ScanFormatUnknown`` unless the voxels follow in this file, as binary numbers."""
    text = _text_before(head, rb"ElementDataFile[^\n]*\n", "MetaImage")
    fields = _meta_fields(text)
    if fields.get("ElementDataFile", "").upper() != "LOCAL":
        raise ScanFormatUnknown("this MetaImage header keeps its voxels in another file; save it as one .mha file")
    if not _is_true(fields, "BinaryData", default=True):
        raise ScanFormatUnknown("MetaImage voxels must be binary; these are text; save them again")
    stored = fields.get("CompressedDataSize", "0")
    if not stored.isascii() or not stored.isdigit() or int(stored) > file_bytes:
        raise ScanCorrupt(
            f"the file has {file_bytes:,} bytes, but its header claims {stored[:20]} of compressed voxels"
        )
    return TextHeader(_is_true(fields, "CompressedData", default=False), len(text))


def _text_before(head: bytes, end: bytes, kind: str) -> str:
    """The header up to and with its ``end``; ITK may stop earlier but never reads fields later."""
    found = re.search(end, head)
    if found is None:
        raise ScanCorrupt(f"the {kind} header has no end within {MOST_HEADER_BYTES:,} bytes; copy or export it again")
    return head[: found.end()].decode("latin-1")


def _nrrd_fields(text: str) -> Mapping[str, str]:
    lines = [line.strip() for line in re.split(r"[\r\n]+", text)[1:]]
    pairs = [line.partition(":") for line in lines if line and not line.startswith("#") and ":=" not in line]
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _meta_fields(text: str) -> Mapping[str, str]:
    matches = [_META_LINE.fullmatch(line) for line in re.split(r"[\r\n]+", text.strip())]
    if None in matches:
        raise ScanCorrupt("every line of a MetaImage header reads 'Key = value'; this one differs; export it again")
    return {match[1]: match[2] for match in matches if match}


def _is_true(fields: Mapping[str, str], name: str, default: bool) -> bool:
    return fields[name][0] in "Tt1" if name in fields else default
