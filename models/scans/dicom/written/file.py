"""A mask of a DICOM scan as a DICOM file. Read ``written`` first."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

from pydicom import Dataset

from skipseg.models.scans.dicom.written.origin import Origin
from skipseg.models.scans.dicom.written.report import REPORT, report
from skipseg.models.scans.dicom.written.rtstruct import CONTOURS, contours
from skipseg.models.scans.dicom.written.segmentation import segmentation
from skipseg.models.scans.dicom.written.uids import Result
from skipseg.models.scans.volume import Mask


@dataclass(frozen=True)
class Written:
    """A file's bytes, and what it lacks because the scan lacks it, in words that name nobody."""

    content: bytes
    notes: tuple[str, ...]


def written(mask: Mask, format: str) -> Written:
    """The file; ``format`` is one of ``masks.DICOM_FORMATS``.

    Raises ``UsageError`` for a scan that is no DICOM and for a mask without labels, ``ScanUnusable`` for a grid that
    DICOM cannot say.
    """
    origin = Origin.of(mask)
    return Written(_encoded(_object(mask, format, origin)), origin.notes)


def _object(mask: Mask, format: str, origin: Origin) -> Dataset:
    result = Result.of(mask)
    if format == REPORT:
        return report(mask, origin, result)
    if format == CONTOURS:
        return contours(mask, origin, result)
    return segmentation(mask, format, origin, result)


def _encoded(dataset: Dataset) -> bytes:
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()
