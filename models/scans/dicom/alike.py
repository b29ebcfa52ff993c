"""Whether the slices of a series are of one image: those of two echoes may well make one regular grid together."""

from __future__ import annotations

from math import isclose

from pydicom import Dataset

from skipseg.models.errors import ScanUnusable
from skipseg.models.scans.dicom.grid import Stack, listed
from skipseg.models.scans.dicom.parse import damage_told

IDENTITY = ("StudyInstanceUID", "PatientID", "Modality")  # which a slice may lack
ALIKE = (
    *IDENTITY,
    "ImageType",  # without its first two values
    "ComplexImageComponent",
    "EchoTime",
    "EchoNumbers",
    "InversionTime",
    "DiffusionBValue",
    "TemporalPositionIdentifier",
    "ConvolutionKernel",
    "KVP",
)
_SAME = 0.01  # relative: numbers that differ by less do not


def check_alike(stack: Stack) -> None:
    """Raise ``ScanUnusable`` where slices differ in what one image has one of, in words that name their places.

    An image without its own identity (SOP Instance UID) is refused as well: nothing could refer to it.
    """
    headers = [plane.header for plane in stack.planes]
    with damage_told():
        if not all(header.get("SOPInstanceUID") for header in headers):
            raise ScanUnusable("an image does not tell its SOP Instance UID; send the original series")
        for keyword in ALIKE:
            if odd := _odd([_value(header, keyword) for header in headers], keyword in IDENTITY):
                raise ScanUnusable(
                    f"the slices of a series must be of one acquisition; {len(odd)} of {len(headers)} differ from the "
                    f"lowest in {keyword}, at {listed(stack.heights[odd])} mm; send the slices of one alone"
                )


def _odd(values: list[object], may_lack: bool) -> list[int]:
    """The numbers of those that differ from the first."""
    told = [number for number, value in enumerate(values) if value or not may_lack]
    return [number for number in told if not _equal(values[number], values[told[0]])]


def _value(header: Dataset, keyword: str) -> object:
    value = header.get(keyword)
    if keyword == "ImageType":
        return None if value is None or isinstance(value, str) else "\\".join(value[2:])
    return value


def _equal(one: object, other: object) -> bool:
    if isinstance(one, int | float) and isinstance(other, int | float):
        return isclose(one, other, rel_tol=_SAME)
    return str(one or "") == str(other or "")
