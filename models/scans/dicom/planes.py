"""The planes of a series: where each lies, and how its stored values become the scan's (PS3.3 C.7.6.2, C.7.6.16)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from skipseg.models.errors import ScanUnusable
from skipseg.models.scans.dicom.parse import damage_told
from skipseg.models.scans.dicom.parts import Part

Vector = NDArray[np.float64]

TOLERANCE_MM = 0.01  # that a corner may be away from where its header puts it
_SQUARE = 1e-3  # by which direction cosines may miss a length of 1 and a right angle, through rounding


@dataclass(frozen=True, eq=False)
class Plane:
    """One slice: its pixels' place in the patient, in DICOM's millimetres to the Left, Posterior and Superior."""

    part: Part
    header: Dataset
    frame: int | None  # of a multi-frame image, from 0
    position: Vector  # of the centre of the first pixel
    along_row: Vector  # from one column to the next
    along_column: Vector  # from one row to the next
    shape: tuple[int, int]  # rows, columns
    spacing: tuple[float, float]  # between columns, between rows
    thickness: float | None  # of the slice; for a slice alone
    slope: float
    intercept: float
    frame_of_reference: str

    @property
    def normal(self) -> Vector:
        across: Vector = np.cross(self.along_row, self.along_column)
        return across / np.linalg.norm(across)

    @property
    def corners(self) -> Vector:
        """The places of the four outer pixels, from the first one, (4, 3)."""
        rows, columns = self.shape
        across = self.along_row * self.spacing[0] * (columns - 1)
        down = self.along_column * self.spacing[1] * (rows - 1)
        return np.array([0 * across, across, down, across + down])

    def lies_as(self, other: Plane) -> bool:
        """Whether both have one size, orientation and frame of reference."""
        if (self.shape, self.frame_of_reference) != (other.shape, other.frame_of_reference):
            return False
        return bool(np.abs(self.corners - other.corners).max() <= TOLERANCE_MM)


def planes_of(headers: Sequence[tuple[Part, Dataset]]) -> list[Plane]:
    """All planes of one series, in the order of its files.

    Raises ``ScanCorrupt`` for values that are none, ``ScanUnusable`` for a place that is missing or cannot be.
    """
    with damage_told():
        if any(int(header.get("InConcatenationTotalNumber") or 1) > 1 for _, header in headers):
            raise ScanUnusable(
                "this multi-frame image is one part of several (a concatenation, PS3.3 C.7.6.16.2.2.4), and no scan "
                "without the others; send the image as one object"
            )
        several = [header for _, header in headers if _frames(header) is not None]
        if several and len(headers) > 1:
            raise ScanUnusable(
                f"a multi-frame image is read alone; this series has {len(several)} of them in {len(headers)} files; "
                "send one"
            )
        return [plane for part, header in headers for plane in _planes(part, header)]


def _planes(part: Part, header: Dataset) -> Iterator[Plane]:
    groups = _frames(header)
    if groups is None:
        yield _plane(part, header, None, [header])
        return
    shared = header.get("SharedFunctionalGroupsSequence") or [Dataset()]
    for number, own in enumerate(groups):
        yield _plane(part, header, number, [own, shared[0]])


def _frames(header: Dataset) -> Sequence[Dataset] | None:
    """The functional groups of each frame; None for an image of one plane."""
    claimed = int(header.get("NumberOfFrames") or 1)
    groups = header.get("PerFrameFunctionalGroupsSequence")
    if groups is None and claimed == 1:
        return None
    if not groups or len(groups) != claimed:
        raise ScanUnusable(
            f"a multi-frame image must tell where each frame lies (functional groups); this one has {claimed} frames "
            f"and {len(groups or [])} places; send single slices, or an enhanced image"
        )
    found: Sequence[Dataset] = groups
    return found


def _plane(part: Part, header: Dataset, frame: int | None, groups: Sequence[Dataset]) -> Plane:
    orientation = _numbers(groups, frame, "PlaneOrientationSequence", "ImageOrientationPatient", 6)
    across, down = _directions(orientation)
    down_mm, across_mm = _numbers(groups, frame, "PixelMeasuresSequence", "PixelSpacing", 2).tolist()
    if not (across_mm > 0 and down_mm > 0):
        raise ScanUnusable(f"pixel spacing must be above 0 mm; got {down_mm:g} and {across_mm:g}; export it again")
    measures, scale = _group(groups, frame, "PixelMeasuresSequence"), _scale(header, groups, frame)
    told = [measures.get(name) for name in ("SpacingBetweenSlices", "SliceThickness")]
    thickness = [float(mm) for mm in told if mm is not None]
    return Plane(
        part=part,
        header=header,
        frame=frame,
        position=_numbers(groups, frame, "PlanePositionSequence", "ImagePositionPatient", 3),
        along_row=across,
        along_column=down,
        shape=(int(header.Rows), int(header.Columns)),
        spacing=(across_mm, down_mm),
        thickness=next((mm for mm in thickness if mm > 0), None),
        slope=scale[0],
        intercept=scale[1],
        frame_of_reference=str(header.get("FrameOfReferenceUID", "")),
    )


def _group(groups: Sequence[Dataset], frame: int | None, sequence: str) -> Dataset:
    """The item that holds a frame's own values, else the shared ones; of a single plane its header is all there is."""
    if frame is None:
        return groups[0]
    return next((group[sequence][0] for group in groups if group.get(sequence)), Dataset())


def _numbers(groups: Sequence[Dataset], frame: int | None, sequence: str, keyword: str, count: int) -> Vector:
    given = _group(groups, frame, sequence).get(keyword)
    values = [] if given is None else [float(value) for value in np.atleast_1d(np.asarray(given, dtype=object))]
    if len(values) != count or not all(map(isfinite, values)):
        raise ScanUnusable(
            f"a slice must tell {keyword} in {count} numbers; one tells {len(values)}; without it nothing can be "
            "measured: send the original series"
        )
    return np.array(values)


def _directions(cosines: Vector) -> tuple[Vector, Vector]:
    """Unit vectors at a right angle, from six direction cosines that rounding may have changed a little."""
    across, down = cosines[:3], cosines[3:]
    lengths = float(np.linalg.norm(across)), float(np.linalg.norm(down))
    if max(abs(lengths[0] - 1), abs(lengths[1] - 1), abs(float(across @ down))) > _SQUARE:
        raise ScanUnusable(
            "the direction cosines of a slice must have length 1 and stand at a right angle; they have lengths "
            f"{lengths[0]:.4f} and {lengths[1]:.4f} and a product of {across @ down:.4f}; export it again"
        )
    return across / lengths[0], down / lengths[1]


def _scale(header: Dataset, groups: Sequence[Dataset], frame: int | None) -> tuple[float, float]:
    """Rescale slope and intercept; 1 and 0 when none is told."""
    if "ModalityLUTSequence" in header:
        raise ScanUnusable("values that need a lookup table (Modality LUT) are not read; export the series rescaled")
    told = _group(groups, frame, "PixelValueTransformationSequence")
    slope, intercept = (told.get(name) for name in ("RescaleSlope", "RescaleIntercept"))
    scale = (1.0 if slope is None else float(slope), 0.0 if intercept is None else float(intercept))
    if not all(map(isfinite, scale)) or scale[0] == 0:
        raise ScanUnusable(f"rescale slope and intercept must be finite and the slope not 0; got {scale}")
    return scale
