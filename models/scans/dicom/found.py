"""The images among the files of a source, and the series that they belong to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from pydicom import Dataset
from pydicom.uid import UID

from skipseg.models.errors import ScanCorrupt, ScanError, ScanFormatUnknown
from skipseg.models.scans.dicom.parse import damage_told, is_dicom, lacks_preamble, read_header
from skipseg.models.scans.dicom.parts import Part

TAGS = [  # that tell which series a file belongs to, and whether it is an image with a place in the patient
    0x00080008,  # Image Type
    0x00080016,  # SOP Class UID
    0x00080018,  # SOP Instance UID
    0x00080060,  # Modality
    0x0008103E,  # Series Description
    0x0020000D,  # Study Instance UID
    0x0020000E,  # Series Instance UID
    0x00200032,  # Image Position (Patient)
    0x00280008,  # Number of Frames
    0x00280010,  # Rows
    0x00280011,  # Columns
    0x52009230,  # Per-Frame Functional Groups Sequence
]
NO_SCANS = ("SEG", "RTDOSE", "RTPLAN", "RTSTRUCT", "SR", "PR", "KO", "REG", "RWV", "FID", "DOC", "M3D")
_NUMBERS, _WORD = re.compile(r"[0-9.]{1,64}"), re.compile(r"[A-Z0-9_]{1,16}")


@dataclass(frozen=True, eq=False)
class Found:
    """One image with a place in the patient, as far as choosing needs it."""

    part: Part
    study: str
    series: str
    modality: str
    description: str
    size: tuple[int, int, int]  # columns, rows, frames
    is_localizer: bool


@dataclass(frozen=True, eq=False)
class Series:
    """The images of one Series Instance UID, in the order in which they were found."""

    images: tuple[Found, ...]

    @property
    def uid(self) -> str:
        return self.images[0].series

    @property
    def study(self) -> str:
        return self.images[0].study

    @property
    def modality(self) -> str:
        return self.images[0].modality

    @property
    def description(self) -> str:
        return self.images[0].description

    @property
    def is_localizer(self) -> bool:
        return all(image.is_localizer for image in self.images)

    @property
    def told(self) -> str:
        """For a message: its UID, modality and size, and nothing that was typed by anybody."""
        columns, rows, _ = self.images[0].size
        slices = sum(image.size[2] for image in self.images)
        uid = self.uid if _NUMBERS.fullmatch(self.uid) else "a UID that is none"
        modality = self.modality if _WORD.fullmatch(self.modality) else "of no modality"
        return f"{uid} ({modality}, {columns} x {rows} x {slices})"

    def without_localizers(self) -> Series:
        """The slices that are no overview of the others; all of a series of overviews alone."""
        kept = tuple(image for image in self.images if not image.is_localizer)
        return Series(kept) if kept else self


@dataclass(frozen=True, eq=False)
class Contents:
    """What a source holds: series of images, and how many files that are none."""

    series: tuple[Series, ...]
    others: int
    unplaced: int = 0  # of the others: images that do not tell where they lie
    damaged: tuple[Part, ...] = ()  # of the others: DICOM that cannot be read, any of which may be a slice

    @property
    def files(self) -> int:
        return sum(len(series.images) for series in self.series) + self.others


def contents_of(parts: Iterable[Part], keep_damaged: bool = False) -> Contents:
    """Look at every file. Raises ``ScanCorrupt`` for DICOM that is damaged, ``ScanFormatUnknown`` for what is not read.

    A damaged file might be a slice of what is wanted, so it is never passed over: with ``keep_damaged`` it is told.
    """
    by_series: dict[str, list[Found]] = {}
    others, unplaced, damaged = 0, 0, list[Part]()
    for part in parts:
        try:
            image = look_at(part)
        except ScanError:
            if not keep_damaged:
                raise
            damaged.append(part)
            image = False
        if isinstance(image, Found):
            by_series.setdefault(image.series, []).append(image)
        else:
            others, unplaced = others + 1, unplaced + image
    return Contents(tuple(Series(tuple(images)) for images in by_series.values()), others, unplaced, tuple(damaged))


def look_at(part: Part) -> Found | bool:
    """The image in a file; else whether it is an image all the same, one without a place in the patient."""
    head = part.head()
    if lacks_preamble(head):
        raise ScanFormatUnknown(
            "a file starts like DICOM but lacks the 128 bytes and DICM of part 10; export it as a part 10 file"
        )
    if not is_dicom(head):
        return False
    dataset, has_pixels = read_header(part, TAGS)
    with damage_told():
        return _image(part, dataset, has_pixels)


def _image(part: Part, dataset: Dataset, has_pixels: bool) -> Found | bool:
    modality = str(dataset.get("Modality", ""))
    kinds = dataset.get("SOPClassUID"), dataset.file_meta.get("MediaStorageSOPClassUID")
    is_image = "Rows" in dataset or any(UID(kind or "").name.endswith("Image Storage") for kind in kinds)
    if modality in NO_SCANS or not (has_pixels or is_image):
        return False
    if not has_pixels or "Rows" not in dataset:
        raise ScanCorrupt("a DICOM image has no pixels; the file was cut short, or made so: export it again")
    if "ImagePositionPatient" not in dataset and "PerFrameFunctionalGroupsSequence" not in dataset:
        return True
    return Found(
        part=part,
        study=str(dataset.get("StudyInstanceUID", "")),
        series=str(dataset.get("SeriesInstanceUID", "")),
        modality=modality,
        description=str(dataset.get("SeriesDescription", "")),
        size=(int(dataset.Columns), int(dataset.Rows), int(dataset.get("NumberOfFrames") or 1)),
        is_localizer="LOCALIZER" in (dataset.get("ImageType") or ()),
    )
