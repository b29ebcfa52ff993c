"""Contours for radiotherapy and for viewers that know no segmentations: RT Structure Sets (PS3.3 A.19)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.dataset import FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import UID, ImplicitVRLittleEndian
from scipy.ndimage import find_objects

from skipseg.models.labels import Label
from skipseg.models.scans.dicom.written.codes import Meaning, as_item, short
from skipseg.models.scans.dicom.written.contours import outlines
from skipseg.models.scans.dicom.written.equipment import Equipment
from skipseg.models.scans.dicom.written.origin import Origin
from skipseg.models.scans.dicom.written.segmentation import segment_numbers
from skipseg.models.scans.dicom.written.uids import Result
from skipseg.models.scans.volume import Mask

CONTOURS = "rtstruct"
RT_STRUCTURE_SET = UID("1.2.840.10008.5.1.4.1.1.481.3")
STUDY = "1.2.840.10008.3.1.2.3.1"  # retired, and what this object refers to a study by
CONTOUR_DATA = Tag(0x3006, 0x0050)

Planes = NDArray[np.unsignedinteger]


def contours(mask: Mask, origin: Origin, result: Result) -> Dataset:
    """Each label as a region 1, 2, ... with closed contours on its planes; one that was not found has none."""
    written, made_by, labels = _object(origin, result), Equipment.of(mask.maker), mask.labels.foreground
    written.Manufacturer, written.ManufacturerModelName = made_by.manufacturer, made_by.model
    written.SoftwareVersions, written.DeviceSerialNumber = made_by.software, made_by.serial_number
    written.SeriesNumber, written.SeriesDescription = made_by.series_number(CONTOURS), made_by.description
    written.StructureSetLabel = short(made_by.model, 16)
    written.StructureSetName = made_by.description
    written.StructureSetDescription = short(f"{made_by.description} weights {made_by.weights}", 1024)
    written.ReferencedFrameOfReferenceSequence = [_frame_of_reference(origin)]
    written.StructureSetROISequence = [_region(n, label, origin, made_by) for n, label in enumerate(labels, 1)]
    written.RTROIObservationsSequence = [_observation(n, label) for n, label in enumerate(labels, 1)]
    stacked = origin.grid.stacked(segment_numbers(mask))
    boxes = find_objects(stacked, max_label=len(labels)) if len(labels) else []
    written.ROIContourSequence = [
        _drawn(number, label, stacked, box, origin)
        for (number, label), box in zip(enumerate(labels, 1), boxes, strict=True)
    ]
    written.update(origin.patient.elements)
    return written


def _object(origin: Origin, result: Result) -> Dataset:
    """What every object has; implicit VR, since an explicit one holds no more than 64 KB of a contour's points."""
    written, now = Dataset(), datetime.now()
    written.file_meta = FileMetaDataset()
    written.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    written.file_meta.MediaStorageSOPClassUID = written.SOPClassUID = RT_STRUCTURE_SET
    written.file_meta.MediaStorageSOPInstanceUID = written.SOPInstanceUID = UID(result.uid("instance", CONTOURS))
    written.StudyInstanceUID, written.SeriesInstanceUID = origin.study, result.uid("series", CONTOURS)
    written.Modality, written.InstanceNumber = "RTSTRUCT", 1
    written.OperatorsName = ""
    written.FrameOfReferenceUID, written.PositionReferenceIndicator = origin.frame_of_reference, ""
    written.ApprovalStatus = "UNAPPROVED"
    written.InstanceCreationDate = written.StructureSetDate = now.strftime("%Y%m%d")
    written.InstanceCreationTime = written.StructureSetTime = now.strftime("%H%M%S")
    return written


def _frame_of_reference(origin: Origin) -> Dataset:
    frame, study, series = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = origin.series
    series.ContourImageSequence = [image.reference() for image in origin.images]
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = STUDY, origin.study
    study.RTReferencedSeriesSequence = [series]
    frame.FrameOfReferenceUID = origin.frame_of_reference
    frame.RTReferencedStudySequence = [study]
    return frame


def _region(number: int, label: Label, origin: Origin, made_by: Equipment) -> Dataset:
    region = Dataset()
    region.ROINumber, region.ROIName = number, short(label.name)
    region.ReferencedFrameOfReferenceUID = origin.frame_of_reference
    region.ROIGenerationAlgorithm, region.ROIGenerationDescription = "AUTOMATIC", made_by.description
    return region


def _observation(number: int, label: Label) -> Dataset:
    meaning, observation = Meaning.of(label), Dataset()
    code = as_item(meaning.type)
    if meaning.side is not None:
        code.SegmentedPropertyTypeModifierCodeSequence = [as_item(meaning.side)]
    observation.ObservationNumber = observation.ReferencedROINumber = number
    observation.ROIObservationLabel = short(label.name, 16)
    observation.RTROIIdentificationCodeSequence = [code]
    observation.RTROIInterpretedType = observation.ROIInterpreter = ""
    return observation


def _drawn(number: int, label: Label, stacked: Planes, box: tuple[slice, ...] | None, origin: Origin) -> Dataset:
    drawn = Dataset()
    drawn.ROIDisplayColor, drawn.ReferencedROINumber = list(label.colour), number
    if box is not None:
        drawn.ContourSequence = list(_contours(number, stacked, box, origin))
    return drawn


def _contours(number: int, stacked: Planes, box: tuple[slice, ...], origin: Origin) -> Iterator[Dataset]:
    grid, (planes, rows, columns) = origin.grid, box
    for plane in range(planes.start, planes.stop):
        for polygon in outlines(stacked[plane, rows, columns] == number):
            column, row = (polygon + np.array([columns.start, rows.start])).T
            places = (
                origin.positions[plane]
                + column[:, None] * grid.spacing[1] * grid.row
                + row[:, None] * grid.spacing[0] * grid.column
            )
            yield _contour(places, plane, origin)


def _contour(places: NDArray[np.float64], plane: int, origin: Origin) -> Dataset:
    contour = Dataset()
    if origin.behind is not None:
        contour.ContourImageSequence = [origin.behind[plane].reference()]
    contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", len(places)
    text = "\\".join(f"{mm:.5f}" for mm in places.ravel().tolist()).encode()  # at most 16 characters each, by DS
    text += b" " * (len(text) % 2)
    contour[CONTOUR_DATA] = RawDataElement(CONTOUR_DATA, "DS", len(text), text, 0, True, True)
    return contour
