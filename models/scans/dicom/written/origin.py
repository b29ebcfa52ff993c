"""Where a mask of a DICOM scan comes from: the images behind its planes, its study, its patient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from pydicom import Dataset

from skipseg.models.errors import UsageError
from skipseg.models.scans.dicom.header import SeriesHeader
from skipseg.models.scans.dicom.written.grid import PlaneGrid
from skipseg.models.scans.dicom.written.patient import Patient
from skipseg.models.scans.dicom.written.uids import derived
from skipseg.models.scans.volume import Mask

NEAR_MM = 0.02  # of a plane, for an image to be the one behind it
STANDARD = {"CT": "1.2.840.10008.5.1.4.1.1.2", "MR": "1.2.840.10008.5.1.4.1.1.4"}
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
UID_CHARACTERS = set("0123456789.")


@dataclass(frozen=True)
class Image:
    """A source image, or one frame of it."""

    sop_class: str
    instance: str
    frame: int | None = None  # counted from 1; None: the image has but one

    def reference(self) -> Dataset:
        """As an item that refers to it."""
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = self.sop_class, self.instance
        if self.frame is not None:
            item.ReferencedFrameNumber = self.frame
        return item


@dataclass(frozen=True, eq=False)
class Origin:
    """What everything that is written of a mask says of its scan.

    ``behind`` is the image behind each plane of ``grid``, in its order; None where the planes are not the scan's own.
    """

    grid: PlaneGrid
    patient: Patient
    study: str
    series: str
    frame_of_reference: str
    modality: str
    images: tuple[Image, ...]  # each instance once
    behind: tuple[Image, ...] | None
    thickness: float | None  # of the slices, in mm
    positions: np.ndarray  # (planes, 3): the scan's own numbers where it has them
    notes: tuple[str, ...]  # what the scan lacked

    @classmethod
    def of(cls, mask: Mask) -> Origin:
        """That of a mask; raises ``UsageError`` when its scan is no DICOM, ``ScanUnusable`` as ``PlaneGrid.of``."""
        if mask.source.format != "dicom":
            raise UsageError("only the mask of a DICOM scan can be written as DICOM; ask for nifti, nrrd or mha")
        header: SeriesHeader = mask.source.header
        grid, first, notes = PlaneGrid.of(mask.geometry), header.slices[0], list[str]()
        patient = Patient.of(first)
        planes = _images(header)
        own = None if header.resampled else _own_positions(header, grid)
        return cls(
            grid=grid,
            patient=patient,
            study=_uid(header, "StudyInstanceUID", notes),
            series=_uid(header, "SeriesInstanceUID", notes),
            frame_of_reference=_uid(header, "FrameOfReferenceUID", notes),
            modality=_modality(header),
            images=tuple(dict.fromkeys(Image(image.sop_class, image.instance) for image in planes)),
            behind=None if own is None else (planes[::-1] if grid.reversed else planes),
            thickness=_positive(first.get("SliceThickness")),
            positions=grid.positions() if own is None else own,
            notes=(*notes, *patient.notes),
        )


def _images(header: SeriesHeader) -> tuple[Image, ...]:
    """One for each slice, or for each frame."""
    images = [Image(_sop_class(one), str(one.SOPInstanceUID)) for one in header.slices]
    if header.frames is None:
        return tuple(images)
    return tuple(Image(images[0].sop_class, images[0].instance, frame) for frame in header.frames)


def _sop_class(image: Dataset) -> str:
    said = str(image.get("SOPClassUID") or getattr(image, "file_meta", {}).get("MediaStorageSOPClassUID") or "")
    return said if _looks_like_uid(said) else STANDARD.get(str(image.get("Modality", "")), SECONDARY_CAPTURE)


def _uid(header: SeriesHeader, keyword: str, notes: list[str]) -> str:
    """The header's, or one that follows from the scan's images."""
    said = str(header.slices[0].get(keyword) or "").strip()
    if _looks_like_uid(said):
        return said
    notes.append(f"made up, since the scan has none: {keyword}")
    return derived(keyword, *header.instances)


def _looks_like_uid(text: str) -> bool:
    return 0 < len(text) <= 64 and set(text) <= UID_CHARACTERS


def _modality(header: SeriesHeader) -> str:
    said = str(header.slices[0].get("Modality") or "")
    return said if said.isalnum() and said.isascii() and said.isupper() and len(said) <= 8 else "OT"


def _own_positions(header: SeriesHeader, grid: PlaneGrid) -> np.ndarray | None:
    """Where the images say that they lie, in the order of the grid's planes; None when that is not where these are."""
    try:
        said = np.array([_position(header, plane) for plane in range(grid.planes)], dtype=np.float64)
        first = header.slices[0]
        same_size = (int(first.Rows), int(first.Columns)) == (grid.rows, grid.columns)
    except (AttributeError, IndexError, TypeError, ValueError):
        return None
    said = said[::-1] if grid.reversed else said
    count = len(header.slices) if header.frames is None else len(header.frames)
    near = said.shape == (grid.planes, 3) and np.linalg.norm(said - grid.positions(), axis=1).max() < NEAR_MM
    return said if same_size and count == grid.planes and near else None


def _position(header: SeriesHeader, plane: int) -> list[float]:
    if header.frames is None:
        return [float(mm) for mm in header.slices[plane].ImagePositionPatient]
    image, frame = header.slices[0], header.frames[plane]
    groups = (image.PerFrameFunctionalGroupsSequence[frame - 1], image.SharedFunctionalGroupsSequence[0])
    group = next(one for one in groups if "PlanePositionSequence" in one)
    return [float(mm) for mm in group.PlanePositionSequence[0].ImagePositionPatient]


def _positive(value: object) -> float | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if 0 < number < 1e3 else None
