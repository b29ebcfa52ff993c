"""DICOM Segmentation objects (PS3.3 A.51), BINARY or LABELMAP, through highdicom."""

from __future__ import annotations

from collections.abc import Sequence

import highdicom as hd
import numpy as np
from highdicom.color import CIELabColor
from highdicom.seg import Segmentation, SegmentDescription
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import UID, ExplicitVRLittleEndian, RLELossless
from pydicom.valuerep import DSfloat

from skipseg.models.errors import UsageError
from skipseg.models.labels import Label
from skipseg.models.scans.dicom.written.codes import Meaning, as_item, short
from skipseg.models.scans.dicom.written.equipment import Equipment
from skipseg.models.scans.dicom.written.grid import Floats
from skipseg.models.scans.dicom.written.origin import Image, Origin
from skipseg.models.scans.dicom.written.uids import Result, derived
from skipseg.models.scans.volume import Mask

BINARY, LABELMAP = "dicom-seg", "dicom-seg-labelmap"
MOST_FRAMES = 2000  # of a BINARY segmentation; 64 MB at 512 x 512
SOP_CLASSES = {BINARY: "1.2.840.10008.5.1.4.1.1.66.4", LABELMAP: "1.2.840.10008.5.1.4.1.1.66.7"}


def segmentation(mask: Mask, format: str, origin: Origin, result: Result) -> Dataset:
    """The mask as segments 1, 2, ... in the order of its labels, found or not.

    Every plane of every segment is there, empty ones too, unless these would be more than ``MOST_FRAMES``. Raises
    ``UsageError`` for a mask without labels.
    """
    labels = mask.labels.foreground
    if not labels:
        raise UsageError("a DICOM segmentation needs at least one label beside the background; this mask has none")
    made_by = Equipment.of(mask.maker)
    written = Segmentation(
        source_images=_stand_ins(origin),
        pixel_array=_volume(mask, origin, _is_large(mask, format)),
        segmentation_type="BINARY" if format == BINARY else "LABELMAP",
        segment_descriptions=[_described(number, label, made_by, result) for number, label in enumerate(labels, 1)],
        series_instance_uid=result.uid("series", format),
        series_number=made_by.series_number(format),
        sop_instance_uid=result.uid("instance", format),
        instance_number=1,
        manufacturer=made_by.manufacturer,
        manufacturer_model_name=made_by.model,
        software_versions=made_by.software,
        device_serial_number=made_by.serial_number,
        content_label="SEGMENTATION",
        content_description=made_by.description,
        series_description=made_by.description,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        omit_empty_frames=_is_large(mask, format),
    )
    if format == BINARY:
        _close_up(written)
    else:
        written.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)  # gdcm's aborts at times
    _refer(written, origin)
    _place(written, origin)
    _settle_dimensions(written, result.uid("dimensions", format))
    written.update(origin.patient.elements)
    return written


def _is_large(mask: Mask, format: str) -> bool:
    return format == BINARY and len(mask.labels.foreground) * mask.geometry.shape[2] > MOST_FRAMES


def _volume(mask: Mask, origin: Origin, large: bool) -> hd.Volume:
    """Segment numbers in (planes, rows, columns) where they are in the patient: highdicom places them by that alone."""
    grid, numbers = origin.grid, origin.grid.stacked(segment_numbers(mask))
    if large and not numbers.any():  # highdicom would write every plane of every segment after all
        numbers = numbers[:1]
    return hd.Volume(
        array=np.ascontiguousarray(numbers),
        affine=grid.upright[:, [2, 1, 0, 3]],
        coordinate_system="PATIENT",
        frame_of_reference_uid=origin.frame_of_reference,
    )


def segment_numbers(mask: Mask) -> NDArray[np.unsignedinteger]:
    """Label values replaced by 1, 2, ... in the order of the labels; nothing is copied where they are the same."""
    values = mask.labels.values
    kind = np.uint8 if len(values) <= 256 else np.uint16
    if values == tuple(range(len(values))):
        return mask.voxels.astype(kind, copy=False)
    table = np.zeros(max(max(values), int(mask.voxels.max())) + 1, kind)
    table[list(values)] = np.arange(len(values))
    return np.asarray(table[mask.voxels])


def _described(number: int, label: Label, made_by: Equipment, result: Result) -> SegmentDescription:
    meaning = Meaning.of(label)
    description = SegmentDescription(
        segment_number=number,
        segment_label=short(label.name),
        segmented_property_category=meaning.category,
        segmented_property_type=meaning.type,
        algorithm_type="AUTOMATIC",
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=made_by.algorithm,
            version=made_by.algorithm_version,
            family=codes.cid7162.ArtificialIntelligence,
            source=made_by.manufacturer,
            parameters={"weights_sha256": made_by.weights},
        ),
        tracking_uid=result.uid("segment", str(number)),
        tracking_id=short(label.name),
        display_color=CIELabColor.from_rgb(*label.colour),
    )
    if meaning.side is not None:
        description.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [
            as_item(meaning.side)
        ]
    return description


def _stand_ins(origin: Origin) -> list[Dataset]:
    """An image for each plane that says where it is and nothing else: highdicom stumbles over what real ones say."""
    upright = origin.grid.upright
    return [_stand_in(origin, k, upright[:3, 3] + k * upright[:3, 2], upright) for k in range(origin.grid.planes)]


def _stand_in(origin: Origin, plane: int, place: Floats, upright: Floats) -> Dataset:
    grid, image = origin.grid, Dataset()
    image.SOPClassUID, image.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.4", _stand_in_uid(plane)
    image.StudyInstanceUID, image.SeriesInstanceUID = origin.study, origin.series
    image.FrameOfReferenceUID, image.Modality = origin.frame_of_reference, origin.modality
    image.Rows, image.Columns = grid.rows, grid.columns
    image.ImagePositionPatient = place.tolist()
    image.ImageOrientationPatient = (upright[:3, :2] / np.linalg.norm(upright[:3, :2], axis=0)).T.ravel().tolist()
    image.PixelSpacing, image.SpacingBetweenSlices = list(grid.spacing), grid.apart
    image.SliceThickness = origin.thickness or grid.apart
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"):
        setattr(image, keyword, "")
    image.StudyDate = image.StudyTime = None
    return image


def _stand_in_uid(plane: int) -> str:
    return f"{derived('plane')}.{plane}"


def _close_up(written: Dataset) -> None:
    """Frames of less than 8 pixels follow each other bit by bit (PS3.5 8.1.1); highdicom begins a byte with each."""
    pixels = written.Rows * written.Columns
    if pixels < 8:
        frames = np.frombuffer(written.PixelData, np.uint8)[: written.NumberOfFrames, None]
        bits = np.unpackbits(frames, axis=1, bitorder="little")[:, :pixels]
        packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
        written.PixelData = packed + b"\0" * (len(packed) % 2)


def _refer(written: Dataset, origin: Origin) -> None:
    """Put the real images where the stand-ins are; planes that are none of the scan's refer to the scan as a whole."""
    written.SourceImageSequence = [image.reference() for image in origin.images]
    written.ReferencedSeriesSequence = [_series(origin.series, origin.images)]
    behind = {} if origin.behind is None else {_stand_in_uid(k): image for k, image in enumerate(origin.behind)}
    for frame in written.PerFrameFunctionalGroupsSequence:
        for derivation in frame.DerivationImageSequence:
            for item in derivation.SourceImageSequence:
                if image := behind.get(str(item.ReferencedSOPInstanceUID)):  # items are shared by all segments
                    item.update(image.reference())
        if not behind:
            frame.DerivationImageSequence = []


def _place(written: Dataset, origin: Origin) -> None:
    """Put every frame where the scan's own numbers put its plane: highdicom knows right angles alone."""
    orientation = written.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    orientation.ImageOrientationPatient = _numbers(origin.grid.orientation)
    for frame in written.PerFrameFunctionalGroupsSequence:
        position = frame.PlanePositionSequence[0]
        plane = origin.grid.plane_at(np.array(position.ImagePositionPatient, dtype=np.float64))
        position.ImagePositionPatient = _numbers(origin.positions[plane].tolist())


def _numbers(values: Sequence[float]) -> list[DSfloat]:
    return [DSfloat(value, auto_format=True) for value in values]


def _series(series: str, images: Sequence[Image]) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID = series
    item.ReferencedInstanceSequence = [image.reference() for image in images]
    return item


def _settle_dimensions(written: Dataset, uid: str) -> None:
    """highdicom draws this UID at random."""
    written.DimensionOrganizationSequence[0].DimensionOrganizationUID = UID(uid)
    for dimension in written.DimensionIndexSequence:
        dimension.DimensionOrganizationUID = UID(uid)
