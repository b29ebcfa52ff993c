"""A data set that goes to a file as it comes in: never whole in memory, and never beyond what it may take.

pynetdicom gathers a request's data set in a ``BytesIO``; this is one, which it hands on without looking inside.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomFileLike
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID
from pynetdicom.dimse_messages import C_STORE_RQ, DIMSEMessage
from pynetdicom.dsutils import create_file_meta

from skipseg.service.dicom.listening.statuses import Status
from skipseg.service.middleware.disk import check_disk
from skipseg.service.refusals import DiskFull

PREAMBLE = bytes(128) + b"DICM"
LOOK_BYTES = 64 * 2**20  # between two looks at the disk
OTHER_BYTES = 2**16  # of a data set that is no instance, and which nobody reads


@dataclass(frozen=True)
class Bounds:
    """Where instances go, how large one may be, and how much of the disk stays free."""

    folder: Path
    instance_bytes: int
    free_bytes: int


class Spool(BytesIO):
    """``fault`` is what the request is to be answered, once something has gone wrong; the rest of it is dropped."""

    def __init__(self, message: DIMSEMessage, bounds: Bounds, syntax: Callable[[int], UID]) -> None:
        super().__init__()
        self.fault: Status | None = None
        self.bytes = 0
        self.path: Path | None = None
        self._file: BinaryIO | None = None
        self._message, self._bounds, self._syntax = message, bounds, syntax

    def write(self, block: bytes) -> int:  # type: ignore[override]
        """Raises nothing: a sender is told in the answer to its request."""
        before, self.bytes = self.bytes, self.bytes + len(block)
        if self.fault is None:
            try:
                self._keep(block, before)
            except (OSError, DiskFull):
                self._fail(Status.OUT_OF_RESOURCES)
            except (ValueError, TypeError, AttributeError, KeyError):  # of UIDs that are none, or are not there
                self._fail(Status.NOT_UNDERSTOOD)
        return len(block)

    def finish(self) -> Path | None:
        """The file, on the disk; None where there is a ``fault``."""
        if self.fault is None and self._file is not None:
            try:
                self._file.flush()
                os.fsync(self._file.fileno())
                self._file.close()
            except OSError:
                self._fail(Status.OUT_OF_RESOURCES)
        elif self.fault is None:
            self.fault = Status.NOT_UNDERSTOOD
        return self.path if self.fault is None else None

    def drop(self) -> None:
        """Forget the file, unless somebody has put it elsewhere."""
        if self._file is not None:
            self._file.close()
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def _keep(self, block: bytes, before: int) -> None:
        if not isinstance(self._message, C_STORE_RQ):
            if self.bytes > OTHER_BYTES:
                self._fail(Status.NOT_UNDERSTOOD)
            return
        if self.bytes > self._bounds.instance_bytes:
            return self._fail(Status.OUT_OF_RESOURCES)
        if not before or before // LOOK_BYTES != self.bytes // LOOK_BYTES:
            check_disk([self._bounds.folder], self._bounds.free_bytes)
        self._opened().write(block)

    def _opened(self) -> BinaryIO:
        if self._file is None:
            self.path = self._bounds.folder / token_hex(16)
            self._file = self.path.open("xb")
            self._file.write(PREAMBLE)
            write_file_meta_info(DicomFileLike(self._file), self._meta())
        return self._file

    def _meta(self) -> FileMetaDataset:
        command, context = self._message.command_set, self._message.context_id
        assert context is not None
        return create_file_meta(
            sop_class_uid=command.AffectedSOPClassUID,
            sop_instance_uid=command.AffectedSOPInstanceUID,
            transfer_syntax=self._syntax(context),
        )

    def _fail(self, status: Status) -> None:
        self.fault = status
        try:
            self.drop()
        except OSError:  # a full disk may not even close a file
            if self.path is not None:
                self.path.unlink(missing_ok=True)
