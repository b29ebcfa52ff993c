"""The header of one DICOM file, without its pixels (PS3.10, PS3.5).

The transfer syntax is looked at before anything is parsed: pydicom would inflate a deflated file whole.
"""

from __future__ import annotations

import logging
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import pydicom.config
from pydicom import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import data_element_generator, read_partial
from pydicom.tag import BaseTag
from pydicom.uid import DeflatedExplicitVRLittleEndian

from skipseg.models.errors import ScanCorrupt, ScanFormatUnknown
from skipseg.models.scans.dicom.parts import HEAD, Part

pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE  # it would write values of headers to the log
logging.getLogger("pydicom").setLevel(logging.CRITICAL)
warnings.filterwarnings("ignore", module=r"pydicom\..*")

DAMAGE = (
    AttributeError,
    BytesLengthException,
    EOFError,
    IndexError,
    InvalidDicomError,
    KeyError,
    LookupError,
    NotImplementedError,
    OSError,
    OverflowError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)
_PIXELS = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_BULKY_VRS = ("OB", "OD", "OF", "OL", "OW", "UN")
_BULKY = 16 * 1024  # bytes of a value that nobody needs
_FIRST_ELEMENTS = {  # with their VR: group lengths, the character set, the image type
    b"\x02\x00\x00\x00": (b"UL",),
    b"\x08\x00\x00\x00": (b"UL",),
    b"\x08\x00\x05\x00": (b"CS",),
    b"\x08\x00\x08\x00": (b"CS",),
}
_CHARACTERS, _IMAGE_TYPE = b"\x08\x00\x05\x00", b"\x08\x00\x08\x00"
_FIRST_IMPLICIT = {  # the same without a VR: their lengths follow at once
    b"\x08\x00\x00\x00\x04\x00\x00\x00",
    *(tag + bytes([length, 0, 0, 0]) for tag in (_CHARACTERS, _IMAGE_TYPE) for length in range(2, 128, 2)),
}


def is_dicom(head: bytes) -> bool:
    """Whether a file that starts with ``head`` is DICOM of part 10."""
    return head[128:132] == b"DICM"


def lacks_preamble(head: bytes) -> bool:
    """Whether a file starts as old DICOM does: with an element of group 2 or 8 at once."""
    return head[4:6] in _FIRST_ELEMENTS.get(head[:4], ()) or head[:8] in _FIRST_IMPLICIT


def read_header(part: Part, tags: list[int] | None = None) -> tuple[Dataset, bool]:
    """The elements before the pixels, or those of ``tags`` alone; what is bulky and nobody's need is left out.

    Tells whether pixels follow, too. Raises ``ScanCorrupt`` and ``ScanFormatUnknown``.
    """
    stopped = list[int]()

    def at_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:
        if tag in _PIXELS:
            stopped.append(int(tag))
        return bool(tag >= _PIXELS[0])

    with part.start() as file, damage_told():
        check_syntax(file)
        dataset = read_partial(file, stop_when=at_pixels, specific_tags=tags)
        dataset.buffer = dataset.filename = None  # or it would hold all bytes of the file
        _drop_bulky(dataset)
    return dataset, bool(stopped)


def read_all(part: Part) -> Dataset:
    """A file with its pixels; raises as ``read_header`` does."""
    with part.open() as file, damage_told():
        check_syntax(file)
        return read_partial(file)


def check_syntax(file: BinaryIO) -> None:
    """Refuse what is deflated; the file stands at its beginning afterwards. Raises ``ScanFormatUnknown``."""
    file.seek(HEAD)
    meta = data_element_generator(
        file, is_implicit_VR=False, is_little_endian=True, stop_when=lambda tag, vr, length: tag.group != 2
    )
    syntax = next((element.value for element in meta if element.tag == 0x00020010), None)
    if syntax is None:
        raise ScanCorrupt("a DICOM file does not tell its transfer syntax; export it again")
    if bytes(syntax).rstrip(b"\0 ").decode("ascii", "replace") == DeflatedExplicitVRLittleEndian:
        raise ScanFormatUnknown("deflated DICOM is not read; export it uncompressed or with an image compression")
    file.seek(0)


@contextmanager
def damage_told() -> Iterator[None]:
    """Say ``ScanCorrupt`` where a DICOM file cannot be parsed; what pydicom says holds values of the header."""
    try:
        yield
    except DAMAGE:
        raise ScanCorrupt("a DICOM file is damaged or cut short; copy or export it again") from None


def _drop_bulky(dataset: Dataset) -> None:
    for tag in list(dataset.keys()):
        raw = dataset.get_item(tag)
        value = getattr(raw, "value", None)
        if not isinstance(value, bytes) or len(value) <= _BULKY:
            continue
        if tag.is_private or tag.group >> 8 in (0x50, 0x60) or raw.VR in _BULKY_VRS:
            del dataset[tag]
