"""What made a result, as DICOM says it: device, software, algorithm."""

from __future__ import annotations

from dataclasses import dataclass

from skipseg import __version__
from skipseg.models.scans.dicom.written.codes import short
from skipseg.models.scans.maker import Maker

UNKNOWN = "unknown"
SERIES_NUMBERS = {"dicom-seg": 1001, "dicom-seg-labelmap": 1002, "dicom-sr": 1003, "rtstruct": 1004}


@dataclass(frozen=True)
class Equipment:
    """Short texts, ready to be written."""

    manufacturer: str
    model: str  # the segmentation model: name@version
    software: str
    serial_number: str  # the weights' sha256, by which a device of this kind is told from others
    algorithm: str
    algorithm_version: str
    weights: str

    @classmethod
    def of(cls, maker: Maker | None) -> Equipment:
        if maker is None:
            return cls("skipseg", UNKNOWN, __version__, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)
        return cls(
            manufacturer="skipseg",
            model=short(maker.reference),
            software=short(maker.software),
            serial_number=maker.weights_sha256,
            algorithm=short(maker.name),
            algorithm_version=UNKNOWN if maker.version is None else str(maker.version),
            weights=maker.weights_sha256,
        )

    @property
    def description(self) -> str:
        """Of series and content, for people."""
        return short(f"skipseg {self.model}")

    @staticmethod
    def series_number(format: str) -> int:
        return SERIES_NUMBERS[format]
