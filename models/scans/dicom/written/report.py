"""Measurement reports (PS3.16 TID 1500, a Comprehensive 3D SR): every label's volume, and how far to trust it."""

from __future__ import annotations

from collections.abc import Iterator

from highdicom import sr
from pydicom import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from skipseg.models.labels import Label
from skipseg.models.scans.dicom.written.codes import PRIVATE_SCHEME, Meaning, short
from skipseg.models.scans.dicom.written.equipment import Equipment
from skipseg.models.scans.dicom.written.origin import Image, Origin
from skipseg.models.scans.dicom.written.segmentation import BINARY, SOP_CLASSES
from skipseg.models.scans.dicom.written.uids import Result, derived
from skipseg.models.scans.maker import Trust
from skipseg.models.scans.volume import Mask

REPORT = "dicom-sr"
MILLILITRES = Code("ml", "UCUM", "milliliter")
NO_UNITS = Code("1", "UCUM", "no units")
IMAGING_PROCEDURE = Code("363679005", "SCT", "Imaging procedure")
SHARES = ("certainty", "pieces", "size", "spacing")  # of the trust score
FLAG = Code("TRUST-FLAG", PRIVATE_SCHEME, "Unusual in this result")


def report(mask: Mask, origin: Origin, result: Result) -> Dataset:
    """One measurement group for each label, found or not, and one for the trust where it is known.

    Groups refer to the segments of the BINARY segmentation of the same result, whether that was written or not.
    """
    made_by = Equipment.of(mask.maker)
    segments = Image(SOP_CLASSES[BINARY], result.uid("instance", BINARY))
    judged = "" if mask.maker is None or mask.maker.trust is None else mask.maker.trust.model_dump_json()
    written = sr.Comprehensive3DSR(
        evidence=[*_evidence(origin), _instance(origin, segments, result.uid("series", BINARY))],
        content=_content(mask, origin, result, made_by),
        series_instance_uid=result.uid("series", REPORT, judged),
        series_number=made_by.series_number(REPORT),
        sop_instance_uid=result.uid("instance", REPORT, judged),
        instance_number=1,
        manufacturer=made_by.manufacturer,
        manufacturer_model_name=made_by.model,
        software_versions=made_by.software,
        device_serial_number=made_by.serial_number,
        series_description=made_by.description,
        is_complete=True,
    )
    written.update(origin.patient.elements)
    return written


def _content(mask: Mask, origin: Origin, result: Result, made_by: Equipment) -> sr.MeasurementReport:
    return sr.MeasurementReport(
        observation_context=sr.ObservationContext(
            observer_device_context=sr.ObserverContext(
                observer_type=codes.DCM.Device,
                observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
                    uid=derived("device", made_by.software, made_by.weights),
                    name="skipseg",
                    manufacturer_name=made_by.manufacturer,
                    model_name=made_by.model,
                    serial_number=made_by.serial_number,
                ),
            )
        ),
        procedure_reported=IMAGING_PROCEDURE,
        title=codes.DCM.ImagingMeasurementReport,
        imaging_measurements=list(_groups(mask, origin, result, made_by)),
    )


def _groups(
    mask: Mask, origin: Origin, result: Result, made_by: Equipment
) -> Iterator[sr.VolumetricROIMeasurementsAndQualitativeEvaluations | sr.MeasurementsAndQualitativeEvaluations]:
    volumes = mask.volumes_mm3() or {}
    for number, label in enumerate(mask.labels.foreground, 1):
        yield _of_label(number, label, volumes[label.name], origin, result, made_by)
    if mask.maker is not None and mask.maker.trust is not None:
        yield _of_trust(mask.maker.trust, result, made_by)


def _of_label(
    number: int, label: Label, mm3: float, origin: Origin, result: Result, made_by: Equipment
) -> sr.VolumetricROIMeasurementsAndQualitativeEvaluations:
    meaning = Meaning.of(label)
    group = sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=result.uid("segment", str(number)), identifier=short(label.name)),
        referenced_segment=sr.ReferencedSegment(
            sop_class_uid=SOP_CLASSES[BINARY],
            sop_instance_uid=result.uid("instance", BINARY),
            segment_number=number,
            source_series=sr.SourceSeriesForSegmentation(origin.series),
        ),
        finding_category=meaning.category,
        finding_type=meaning.type,
        algorithm_id=_algorithm(made_by),
        measurements=[sr.Measurement(codes.SCT.Volume, round(mm3 / 1000, 6), MILLILITRES)],
    )
    if meaning.side is not None:
        _say_the_side(group[0], meaning.side)
    return group


def _say_the_side(group: Dataset, side: Code) -> None:
    """The side of a finding is a modifier of it."""
    finding = next(item for item in group.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "121071")
    modifier = sr.CodeContentItem(codes.SCT.Laterality, side, sr.RelationshipTypeValues.HAS_CONCEPT_MOD)
    finding.ContentSequence = [modifier]


def _algorithm(made_by: Equipment) -> sr.AlgorithmIdentification:
    return sr.AlgorithmIdentification(
        name=made_by.algorithm,
        version=made_by.algorithm_version,
        parameters=[f"weights_sha256={made_by.weights}"],
        family=codes.cid7162.ArtificialIntelligence,
        manufacturer=made_by.manufacturer,
    )


def _of_trust(trust: Trust, result: Result, made_by: Equipment) -> sr.MeasurementsAndQualitativeEvaluations:
    """Numbers between 0 and 1, where 1 is nothing unusual, and each flag in its words."""
    named = [("TRUST-SCORE", "Trust score", trust.score)]
    named += [(f"TRUST-{name.upper()}", f"Trust share of {name}", getattr(trust, name)) for name in SHARES]
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=result.uid("trust"), identifier="Trust"),
        algorithm_id=_algorithm(made_by),
        measurements=[
            sr.Measurement(Code(value, PRIVATE_SCHEME, meaning), round(share, 4), NO_UNITS)
            for value, meaning, share in named
        ],
    )
    for flag in trust.flags:
        group[0].ContentSequence.append(sr.TextContentItem(FLAG, flag, sr.RelationshipTypeValues.CONTAINS))
    return group


def _evidence(origin: Origin) -> list[Dataset]:
    return [_instance(origin, image, origin.series) for image in origin.images]


def _instance(origin: Origin, image: Image, series: str) -> Dataset:
    """What highdicom needs to know of something that a report refers to."""
    one = Dataset()
    one.SOPClassUID, one.SOPInstanceUID = image.sop_class, image.instance
    one.StudyInstanceUID, one.SeriesInstanceUID = origin.study, series
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"):
        setattr(one, keyword, "")
    one.StudyDate = one.StudyTime = None
    return one
