"""What a C-STORE request is answered (PS3.4 B.2.3, PS3.7 C)."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    STORED = 0x0000
    OUT_OF_RESOURCES = 0xA700  # the sender may try again later
    NOT_ITS_CLASS = 0xA900  # the data set is another instance than the one that was announced
    NOT_UNDERSTOOD = 0xC000
