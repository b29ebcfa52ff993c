"""Segmentations: others find every voxel where the mask has it, and what the scan lacks never loses it."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dcmqi
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from dicom_masks import (
    LABELS,
    MAKER,
    as_dataset,
    by_highdicom,
    complaints,
    enhanced,
    mask_on,
    numbered,
    placed,
    read_series,
    written,
)
from dicom_series import AXIAL, pixels, series, stored
from pydicom import Dataset

from skipseg.models.errors import UsageError
from skipseg.models.labels import Code, Label, Labels
from skipseg.models.scans.dicom.segmentation import read_segmentation
from skipseg.models.scans.limits import DEFAULT_LIMITS
from skipseg.models.scans.maker import Maker
from skipseg.models.scans.masks import encode_mask, mask_file, mask_suffix
from skipseg.models.scans.reader import read_scan
from skipseg.models.scans.volume import Mask, Source, Volume

BOTH = ["dicom-seg", "dicom-seg-labelmap"]
REAL = ["brain-T1post", "brain-T2", "hippocampus-crop-1", "hippocampus-crop-2", "hippocampus-crop-3"]
ORIENTATIONS = {
    "axial": AXIAL,
    "head first, both negated": (-1, 0, 0, 0, -1, 0),
    "row negated": (-1, 0, 0, 0, 1, 0),
    "sagittal": (0, 1, 0, 0, 0, -1),
    "coronal": (1, 0, 0, 0, 0, -1),
    "oblique": (0.999679, 0.02533, 0, -0.0244148, 0.963561, -0.26637),
}
RealData = Callable[[str], Path]


def scan(tmp_path: Path, **elements: object) -> Volume:
    return read_series(tmp_path / "scan", series(**elements))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", REAL)
def test_the_mask_of_a_real_series_is_found_by_highdicom_and_dcmqi_and_pleases_dciodvfy(
    name: str, real_data: RealData, tmp_path: Path
) -> None:
    volume = read_scan(real_data("dicom") / name)
    mask = mask_on(volume)
    few = np.zeros_like(mask.voxels)
    few[-30:, 5:40] = mask.voxels[-30:, 5:40]
    assert few.any()
    mask = replace(mask, voxels=few)
    file = encode_mask(mask)
    assert complaints(file, tmp_path) == []
    assert np.array_equal(by_highdicom(file, mask), numbered(mask))
    assert np.array_equal(by_dcmqi(file, tmp_path, mask), numbered(mask))


@pytest.mark.parametrize("format", BOTH)
@pytest.mark.parametrize("orientation", ORIENTATIONS.values(), ids=ORIENTATIONS)
def test_voxels_lie_where_they_lay_however_the_series_is_turned_and_shuffled(
    orientation: tuple[float, ...], format: str, tmp_path: Path
) -> None:
    datasets = series(orientation=orientation)
    mask = mask_on(read_series(tmp_path / "scan", [datasets[k] for k in (3, 0, 5, 1, 4, 2)]))
    file = encode_mask(mask, format)
    assert np.array_equal(by_highdicom(file, mask), numbered(mask))
    assert np.array_equal(by_dcmqi(file, tmp_path, mask), numbered(mask))
    if format == "dicom-seg":
        assert complaints(file, tmp_path) == []


@pytest.mark.parametrize("format", BOTH)
def test_a_segmentation_comes_back_as_the_label_that_it_was(format: str, tmp_path: Path) -> None:
    labels = Labels.from_names({5: "liver", 255: "kidney_left", 300: "Ödem"})
    mask = mask_on(scan(tmp_path), labels)
    values = {label.name: label.value for label in labels.foreground}
    again = read_segmentation(encode_mask(mask, format), mask.geometry, values, DEFAULT_LIMITS)
    assert np.array_equal(again.voxels[0], mask.voxels)


SLIPPED = [(-10 + 0.002 * number, 20, 2.5 * number) for number in range(40)]  # by less than a tilt, more than 0.01 mm
ROUNDED = {  # what the reader takes for right angles that a header rounded
    "slices that slip": {"values": pixels(40), "positions": SLIPPED},
    "cosines of three digits": {
        "values": pixels(6, 40, 50),
        "orientation": (0.777, 0.362, -0.515, -0.268, 0.93, 0.251),
    },
}


@pytest.mark.parametrize("format", BOTH)
@pytest.mark.parametrize("name", ROUNDED)
def test_a_rounded_header_does_not_lose_the_mask_nor_move_it(name: str, format: str, tmp_path: Path) -> None:
    images = series(**ROUNDED[name])  # type: ignore[arg-type]
    mask = mask_on(read_series(tmp_path / "scan", images))
    values = {label.name: label.value for label in mask.labels.foreground}
    file = encode_mask(mask, format)
    again = read_segmentation(file, mask.geometry, values, DEFAULT_LIMITS)
    assert np.array_equal(again.voxels[0], mask.voxels)
    places = {str(image.SOPInstanceUID): list(image.ImagePositionPatient) for image in images}
    for frame in frames(file):
        (source,) = frame.DerivationImageSequence[0].SourceImageSequence
        assert list(frame.PlanePositionSequence[0].ImagePositionPatient) == places[source.ReferencedSOPInstanceUID]
    assert encode_mask(mask, "rtstruct")
    assert encode_mask(mask, "dicom-sr")


def by_dcmqi(file: bytes, folder: Path, mask: Mask) -> np.ndarray:
    """As ``by_highdicom``, as dcmqi reads it."""
    path, out = folder / "seg.dcm", folder / "dcmqi"
    path.write_bytes(file)
    out.mkdir()
    program = Path(dcmqi.__file__).parent / "bin" / "segimage2itkimage"
    subprocess.run(
        [program, "--inputDICOM", path, "--outputDirectory", out, "--outputType", "nrrd", "--mergeSegments"],
        check=True,
        capture_output=True,
    )
    image = sitk.ReadImage(str(next(out.glob("*.nrrd"))))
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return placed(sitk.GetArrayFromImage(image).T, affine, mask)


@pytest.mark.parametrize("multi_frame", [False, True])
def test_every_frame_names_the_image_that_lies_where_it_lies(multi_frame: bool, tmp_path: Path) -> None:
    images = series(Modality="MR")
    one = enhanced(images)
    mask = mask_on(read_series(tmp_path / "scan", [one] if multi_frame else images[::-1]))
    file = written(mask)
    assert len(file.PerFrameFunctionalGroupsSequence) == 6 * 3
    for frame in file.PerFrameFunctionalGroupsSequence:
        (source,) = frame.DerivationImageSequence[0].SourceImageSequence
        height = frame.PlanePositionSequence[0].ImagePositionPatient
        number = next(n for n, image in enumerate(images) if image.ImagePositionPatient == height)
        named = one if multi_frame else images[number]
        assert source.ReferencedSOPInstanceUID == named.SOPInstanceUID
        assert source.ReferencedSOPClassUID == named.SOPClassUID
        assert source.get("ReferencedFrameNumber") == (number + 1 if multi_frame else None)
    (referred,) = file.ReferencedSeriesSequence
    assert referred.SeriesInstanceUID == images[0].SeriesInstanceUID
    assert len(referred.ReferencedInstanceSequence) == (1 if multi_frame else 6)
    assert complaints(encode_mask(mask), tmp_path) == []


def test_an_interpolated_scan_has_its_mask_on_its_own_grid_and_no_image_behind_a_plane(tmp_path: Path) -> None:
    volume = scan(tmp_path)
    other = replace(volume.geometry, affine=volume.geometry.affine @ np.diag([1, 1, 0.5, 1]))
    header = replace(volume.source.header, resampled="a gap")
    mask = mask_on(Volume(volume.voxels, other, Source("dicom", header)))
    file = mask_file(mask)
    assert np.array_equal(by_highdicom(file.content, mask), numbered(mask))
    assert all(not frame.DerivationImageSequence for frame in frames(file.content))
    assert complaints(file.content, tmp_path) == []
    assert "resampled: a gap" in file.notes


def frames(file: bytes) -> list[Dataset]:
    return list(as_dataset(file).PerFrameFunctionalGroupsSequence)


@pytest.mark.parametrize("format", BOTH)
@pytest.mark.parametrize(
    "labels",
    [
        Labels.from_names({255: "cell"}),
        Labels.from_names({7: "a", 300: "b", 65535: "c"}),
        Labels.from_names({value: f"organ {value}" for value in range(1, 43)}),
        Labels.from_names({1: "Ödem \\ 脳 " + "x" * 100}),
    ],
    ids=["one of 255", "above a byte", "42", "odd name"],
)
def test_any_labels_can_be_written(labels: Labels, format: str, tmp_path: Path) -> None:
    mask = mask_on(scan(tmp_path), labels)
    file = encode_mask(mask, format)
    assert np.array_equal(by_highdicom(file, mask), numbered(mask))
    if format == "dicom-seg":
        assert complaints(file, tmp_path) == []


@pytest.mark.parametrize("format", BOTH)
@pytest.mark.parametrize("shape", [(6, 7, 9), (1, 7, 9), (3, 2, 2), (2, 1, 5)])
def test_an_empty_mask_and_a_small_scan_are_answers_too(shape: tuple[int, ...], format: str, tmp_path: Path) -> None:
    volume = read_series(tmp_path / "scan", series(pixels(*shape)))
    full = mask_on(volume)
    assert np.array_equal(by_highdicom(encode_mask(full, format), full), numbered(full))
    empty = replace(full, voxels=np.zeros_like(full.voxels))
    assert not by_highdicom(encode_mask(empty, format), empty).any()


def test_planes_where_nothing_is_are_left_out_of_what_would_be_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("skipseg.models.scans.dicom.written.segmentation.MOST_FRAMES", 10)
    mask = mask_on(scan(tmp_path))
    mask.voxels[..., 1] = 0
    file = encode_mask(mask)
    assert len(frames(file)) == 15
    assert np.array_equal(by_highdicom(file, mask), numbered(mask))
    assert complaints(file, tmp_path) == []
    assert len(frames(encode_mask(replace(mask, voxels=np.zeros_like(mask.voxels))))) == 3


DROPPED = [
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"),
    *("AccessionNumber", "ReferringPhysicianName", "StudyInstanceUID", "FrameOfReferenceUID", "SliceThickness"),
    *("Modality", "SeriesDescription", "InstanceNumber", "ImageType", "PatientAge", "StudyDescription"),
]
COMPLETE = {
    **{
        "PatientBirthDate": "19500102",
        "PatientSex": "F",
        "StudyDate": "20200119",
        "StudyTime": "112200",
        "StudyID": "4",
    },
    **{"AccessionNumber": "870", "ReferringPhysicianName": "Roe^Jim", "PatientAge": "070Y", "StudyDescription": "Head"},
}


@pytest.mark.parametrize("format", ["dicom-seg", "dicom-sr", "rtstruct"])
@pytest.mark.parametrize("keyword", DROPPED)
def test_a_missing_element_of_the_scan_does_not_lose_its_mask(keyword: str, format: str, tmp_path: Path) -> None:
    datasets = series(**COMPLETE)  # type: ignore[arg-type]
    for dataset in datasets:
        delattr(dataset, keyword)
    mask = mask_on(read_series(tmp_path / "scan", datasets))
    file = mask_file(mask, format)
    assert complaints(file.content, tmp_path) == []
    if format == "dicom-seg":
        assert np.array_equal(by_highdicom(file.content, mask), numbered(mask))
    is_needed = keyword in DROPPED[:11]
    assert (len(file.notes) == 1 and keyword in file.notes[0]) if is_needed else not file.notes


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientSex", "female"),
        ("PatientBirthDate", "02.01.1950"),
        ("StudyDate", "2020"),
        ("StudyTime", "noon"),
        ("PatientName", "x" * 200),
        ("StudyID", "x" * 40),
        ("AccessionNumber", "a\\b\\c"),
        ("PatientAge", "old"),
        ("PatientWeight", "heavy"),
        ("StudyDescription", "a\\b"),
    ],
)
def test_an_invalid_element_is_left_out_and_named_without_its_value(keyword: str, value: str, tmp_path: Path) -> None:
    datasets = series(**COMPLETE)  # type: ignore[arg-type]
    raw = [spoiled(dataset, keyword, value) for dataset in datasets]
    folder = tmp_path / "scan"
    folder.mkdir()
    for number, data in enumerate(raw):
        (folder / f"{number}").write_bytes(data)
    file = mask_file(mask_on(read_scan(folder)))
    assert complaints(file.content, tmp_path) == []
    (note,) = file.notes
    assert keyword in note
    assert value not in note
    assert not as_dataset(file.content).get(keyword)


def spoiled(dataset: Dataset, keyword: str, value: str) -> bytes:
    """A file with an element as no toolkit writes it."""
    import warnings

    from pydicom import config
    from pydicom.datadict import dictionary_VR, tag_for_keyword
    from pydicom.dataelem import RawDataElement
    from pydicom.tag import Tag

    tag = Tag(tag_for_keyword(keyword) or 0)
    data = value.encode() + b" " * (len(value) % 2)
    dataset[tag] = RawDataElement(tag, dictionary_VR(tag), len(data), data, 0, False, True)
    with warnings.catch_warnings(), config.disable_value_validation():
        return stored(dataset)


def test_patient_and_study_are_the_scans_in_any_script(tmp_path: Path) -> None:
    name = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    datasets = series(**COMPLETE, SpecificCharacterSet=["", "ISO 2022 IR 87"])  # type: ignore[arg-type]
    for dataset in datasets:
        dataset.PatientName = name
    file = written(mask_on(read_series(tmp_path / "scan", datasets)))
    assert str(file.PatientName) == name
    for keyword in ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID", *COMPLETE):
        assert file[keyword].value == datasets[0][keyword].value


def test_segments_say_what_they_are_and_who_made_them(tmp_path: Path) -> None:
    file = written(mask_on(scan(tmp_path)))
    liver, kidney, scrap = file.SegmentSequence
    assert [segment.SegmentNumber for segment in file.SegmentSequence] == [1, 2, 3]
    assert kind(liver) == ("10200004", "SCT")
    assert kind(kidney) == ("64033007", "SCT")
    (side,) = kidney.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence
    assert (side.CodeValue, side.CodeMeaning) == ("7771000", "Left")
    assert scrap.SegmentedPropertyTypeCodeSequence[0].CodeMeaning == "scrap"
    assert kind(scrap)[1].startswith("99")
    assert liver.SegmentAlgorithmType == "AUTOMATIC"
    assert len(liver.RecommendedDisplayCIELabValue) == 3
    (algorithm,) = liver.SegmentationAlgorithmIdentificationSequence
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("organs", "3")
    assert MAKER.weights_sha256 in algorithm.AlgorithmParameters
    assert (file.ManufacturerModelName, file.SoftwareVersions) == ("organs@3", "0.1.0")


def kind(segment: Dataset) -> tuple[str, str]:
    (code,) = segment.SegmentedPropertyTypeCodeSequence
    return code.CodeValue, code.CodingSchemeDesignator


def test_a_labels_own_code_goes_before_its_name(tmp_path: Path) -> None:
    own = Code(value="123", scheme="99LAB", meaning="our liver")
    labels = Labels(all=(Label(value=0, name="background"), Label(value=1, name="liver", code=own)))
    (segment,) = written(mask_on(scan(tmp_path), labels)).SegmentSequence
    assert kind(segment) == ("123", "99LAB")


@pytest.mark.parametrize("format", [*BOTH, "dicom-sr", "rtstruct"])
def test_equal_results_have_equal_uids_and_others_have_others(format: str, tmp_path: Path) -> None:
    datasets = series()
    mask = mask_on(read_series(tmp_path / "scan", datasets))
    again = mask_on(read_series(tmp_path / "again", datasets[::-1]))
    moved = replace(mask, voxels=np.roll(mask.voxels, 1))
    other_weights = replace(mask, maker=replace(MAKER, weights_sha256="cd" * 32))
    other_version = replace(mask, maker=replace(MAKER, version=(MAKER.version or 0) + 1))
    other_scan = mask_on(scan(tmp_path))
    uids = [uids_of(one, format) for one in (mask, again, moved, other_weights, other_version, other_scan)]
    assert uids[0] == uids[1]
    assert len(set(uids)) == 5
    assert all(not set(uids[0]) & set(other) for other in uids[2:])


def uids_of(mask: Mask, format: str) -> tuple[str, str]:
    file = written(mask, format)
    return str(file.SOPInstanceUID), str(file.SeriesInstanceUID)


def test_a_mask_without_a_maker_is_written_as_one_of_nobody(tmp_path: Path) -> None:
    file = encode_mask(mask_on(scan(tmp_path), maker=None))
    assert as_dataset(file).SegmentSequence[0].SegmentAlgorithmName == "unknown"
    assert complaints(file, tmp_path) == []


def test_a_dicom_scan_is_answered_by_a_segmentation_and_others_cannot_have_one(tmp_path: Path) -> None:
    mask = mask_on(scan(tmp_path))
    assert mask_suffix(mask) == ".dcm"
    assert as_dataset(encode_mask(mask)).Modality == "SEG"
    assert mask_suffix(mask, "nifti") == ".nii.gz"
    for format in ("dicom-seg", "dicom-seg-labelmap", "dicom-sr", "rtstruct"):
        with pytest.raises(UsageError, match="only the mask of a DICOM scan"):
            encode_mask(replace(mask, source=Source("nifti")), format)
    with pytest.raises(UsageError, match="at least one label"):
        encode_mask(replace(mask, labels=Labels(all=LABELS.all[:1]), voxels=np.zeros_like(mask.voxels)))


def test_a_model_of_no_registry_has_no_version() -> None:
    assert Maker("organs", None, "ab" * 32, "0.1.0").reference == "organs"
