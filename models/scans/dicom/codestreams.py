"""How large the image inside a compressed frame claims to be, before a decoder believes it.

JPEG and JPEG-LS: the frame header (ITU T.81 B.2.2, T.87 C.2.2); JPEG 2000: the SIZ segment (T.800 A.5.1).
"""

from __future__ import annotations

import struct

_SIZ = b"\xff\x4f\xff\x51"
_FRAME_HEADERS = {*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0), 0xF7}
_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length


def claimed(frame: bytes) -> tuple[int, int, int] | None:
    """Rows, columns and samples that a codestream claims; None when it tells none."""
    try:
        if (start := frame.find(_SIZ, 0, 4096)) >= 0:
            right, bottom, left, top = struct.unpack_from(">4I", frame, start + 8)
            return bottom - top, right - left, struct.unpack_from(">H", frame, start + 40)[0]
        return _jpeg(frame)
    except struct.error:
        return None


def _jpeg(frame: bytes) -> tuple[int, int, int] | None:
    if not frame.startswith(b"\xff\xd8"):
        return None
    at = 2
    while at < len(frame):
        (marker,) = struct.unpack_from(">H", frame, at)
        code = marker & 0xFF
        if marker >> 8 != 0xFF:
            return None
        if code == 0xFF or code in _ALONE:
            at += 1 if code == 0xFF else 2
            continue
        if code in _FRAME_HEADERS:
            rows, columns, samples = struct.unpack_from(">HHB", frame, at + 5)
            return rows, columns, samples
        at += 2 + struct.unpack_from(">H", frame, at + 2)[0]
    return None
