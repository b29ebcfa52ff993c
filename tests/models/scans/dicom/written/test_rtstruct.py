"""Contours: filled again by an independent rule they are the mask, voxel for voxel."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dicom_masks import LABELS, as_dataset, complaints, enhanced, mask_on, read_series
from dicom_series import AXIAL, series
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from matplotlib.path import Path as Polygon
from pydicom import Dataset

from skipseg.models.scans.dicom.written.contours import outlines
from skipseg.models.scans.masks import encode_mask
from skipseg.models.scans.reader import read_scan
from skipseg.models.scans.volume import Mask

LPS_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
RealData = Callable[[str], Path]


def crossings(polygons: list[np.ndarray], points: np.ndarray) -> np.ndarray:
    """How often a ray from each point to the right crosses the polygons."""
    count = np.zeros(len(points), int)
    for polygon in polygons:
        for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
            spans = (y0 > points[:, 1]) != (y1 > points[:, 1])
            if np.any(spans):
                at = x0 + (points[:, 1] - y0) * (x1 - x0) / (y1 - y0) if y1 != y0 else np.inf
                count += spans & (points[:, 0] < at)
    return count


@given(arrays.arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
@settings(max_examples=150, deadline=None)
def test_outlines_hold_the_centres_of_what_is_inside_by_every_rule(inside: np.ndarray) -> None:
    polygons = list(outlines(inside))
    rows, columns = np.indices(inside.shape)
    centres = np.column_stack([columns.ravel(), rows.ravel()]).astype(float)
    even_odd = crossings(polygons, centres) % 2 == 1
    assert np.array_equal(even_odd, inside.ravel())
    alone = [crossings([polygon], centres) % 2 == 1 for polygon in polygons]
    assert np.array_equal(np.any(alone, axis=0) if alone else np.zeros(inside.size, bool), inside.ravel())


@pytest.mark.parametrize(
    "orientation", [AXIAL, (0, 1, 0, 0, 0, -1), (0.999679, 0.02533, 0, -0.0244148, 0.963561, -0.26637)]
)
def test_contours_filled_again_are_the_mask(orientation: tuple[float, ...], tmp_path: Path) -> None:
    mask = mask_on(read_series(tmp_path / "scan", series(orientation=orientation)[::-1]))
    file = encode_mask(mask, "rtstruct")
    assert np.array_equal(filled(as_dataset(file), mask), mask.voxels)
    assert complaints(file, tmp_path) == []


def filled(file: Dataset, mask: Mask) -> np.ndarray:
    """The voxels whose centres lie in an odd number of polygons, at the plane where these are."""
    to_index = np.linalg.inv(LPS_RAS @ mask.geometry.affine)
    columns, rows, planes = mask.geometry.shape
    centres = np.stack(np.meshgrid(np.arange(columns), np.arange(rows), indexing="ij"), -1).reshape(-1, 2)
    found = np.zeros((columns, rows, planes), np.uint16)
    for region, label in zip(file.ROIContourSequence, LABELS.foreground, strict=True):
        inside = np.zeros(found.shape, bool)
        for contour in region.get("ContourSequence", []):
            places = np.array(contour.ContourData, float).reshape(-1, 3)
            assert len(places) == contour.NumberOfContourPoints
            index = places @ to_index[:3, :3].T + to_index[:3, 3]
            (plane,) = {round(float(k)) for k in index[:, 2]}
            assert np.abs(index[:, 2] - plane).max() < 0.01
            closed = np.vstack([index[:, :2], index[:1, :2]])
            inside[..., plane] ^= Polygon(closed).contains_points(centres).reshape(columns, rows)
        assert not found[inside].any()
        found[inside] = label.value
    return found


@pytest.mark.parametrize("name", ["brain-T2", "hippocampus-crop-1"])
def test_contours_on_a_real_series_please_dciodvfy_and_are_the_mask(
    name: str, real_data: RealData, tmp_path: Path
) -> None:
    volume = read_scan(real_data("dicom") / name)
    mask = mask_on(volume)
    few = np.zeros_like(mask.voxels)
    few[-25:, 10:40, 2:9] = mask.voxels[-25:, 10:40, 2:9]
    assert few.any()
    mask = replace(mask, voxels=few)
    file = encode_mask(mask, "rtstruct")
    assert complaints(file, tmp_path) == []
    assert np.array_equal(filled(as_dataset(file), mask), mask.voxels)


def test_contours_name_their_images_and_frames_and_one_frame_of_reference(tmp_path: Path) -> None:
    images = series(Modality="MR")
    one = enhanced(images)
    file = as_dataset(encode_mask(mask_on(read_series(tmp_path / "scan", [one])), "rtstruct"))
    heights = [float(image.ImagePositionPatient[2]) for image in images]
    for contour in file.ROIContourSequence[0].ContourSequence:
        (image,) = contour.ContourImageSequence
        assert image.ReferencedSOPInstanceUID == one.SOPInstanceUID
        assert heights[image.ReferencedFrameNumber - 1] == pytest.approx(contour.ContourData[2])
        assert contour.ContourGeometricType == "CLOSED_PLANAR"
    (referred,) = file.ReferencedFrameOfReferenceSequence
    assert referred.FrameOfReferenceUID == images[0].FrameOfReferenceUID
    assert [region.ROIName for region in file.StructureSetROISequence] == ["liver", "kidney_left", "scrap"]
    codes = [one.RTROIIdentificationCodeSequence[0].CodeValue for one in file.RTROIObservationsSequence]
    assert codes[:2] == ["10200004", "64033007"]


def test_numbers_are_never_longer_than_dicom_allows(tmp_path: Path) -> None:
    far = [(-123456.789, 98765.4321, -54321.0 + 2.5 * k) for k in range(6)]
    file = encode_mask(mask_on(read_series(tmp_path / "scan", series(positions=far))), "rtstruct")
    assert complaints(file, tmp_path) == []
    longest = max(len(str(value)) for value in as_dataset(file).ROIContourSequence[0].ContourSequence[0].ContourData)
    assert longest <= 16


def test_what_was_not_found_is_a_region_without_contours(tmp_path: Path) -> None:
    mask = mask_on(read_series(tmp_path / "scan"))
    file = encode_mask(replace(mask, voxels=np.zeros_like(mask.voxels)), "rtstruct")
    assert complaints(file, tmp_path) == []
    assert all("ContourSequence" not in region for region in as_dataset(file).ROIContourSequence)
