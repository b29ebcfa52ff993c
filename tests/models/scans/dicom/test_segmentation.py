"""A DICOM SEG becomes the label image that it was made of, however its frames lie; what does not fit is refused."""

from io import BytesIO

import highdicom
import numpy as np
import pytest
from dicom_series import series, stored
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import planted, says_who
from pydicom import Dataset, dcmread
from pydicom.sr.codedict import codes
from pydicom.uid import RLELossless

from skipseg.models.errors import ScanError, ScanTooLarge, ScanUnusable
from skipseg.models.scans.dicom.segmentation import is_segmentation, read_segmentation
from skipseg.models.scans.geometry import Geometry
from skipseg.models.scans.limits import Limits
from skipseg.models.scans.reader import read_scan

LIMITS = Limits()
VALUES = {"Anterior": 1, "Posterior": 4}
SHAPE = (7, 6, 5)  # X, Y, Z
TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
NOBODY = dict.fromkeys(
    ("PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate", "StudyTime", "PatientName"), ""
)


def segments(names: tuple[str, ...] = tuple(VALUES)) -> list:
    manual = highdicom.seg.SegmentAlgorithmTypeValues.MANUAL
    return [
        highdicom.seg.SegmentDescription(number, name, codes.SCT.Organ, codes.SCT.Hippocampus, manual)
        for number, name in enumerate(names, 1)
    ]


def slices(affine: np.ndarray, shape: tuple[int, ...]) -> list[Dataset]:
    """Images on a grid whose axes are columns, rows, slices."""
    lps = TO_LPS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    places = [(lps @ [0, 0, k, 1])[:3] for k in range(shape[2])]
    directions = (*(lps[:3, 0] / spacing[0]), *(lps[:3, 1] / spacing[1]))
    values = np.zeros(shape[::-1], np.int16)
    more = {"Modality": "MR", "SliceThickness": spacing[2], **NOBODY}
    return series(values, places, directions, (spacing[1], spacing[0]), **more)


def made(sources: list[Dataset], pixels: np.ndarray, kind: str = "BINARY", names=tuple(VALUES), **more) -> Dataset:
    identity = (highdicom.UID(), 1, highdicom.UID(), 1, "made", "by", "1.0", "5")
    return highdicom.seg.Segmentation(sources, pixels, kind, segments(names), *identity, **more)


def written(truth: np.ndarray, affine: np.ndarray, kind: str = "BINARY", **more) -> bytes:
    """``truth`` (X, Y, Z) holds segment numbers."""
    return stored(made(slices(affine, truth.shape), np.ascontiguousarray(truth.T).astype(np.uint8), kind, **more))


def affine_of(turn: tuple[float, ...], spacing: tuple[float, ...]) -> np.ndarray:
    rotation = np.eye(3)
    for angle, (i, j) in zip(turn, ((1, 2), (0, 2), (0, 1)), strict=True):
        step = np.eye(3)
        step[i, i] = step[j, j] = np.cos(angle)
        step[i, j], step[j, i] = -np.sin(angle), np.sin(angle)
        rotation = rotation @ step
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = rotation * spacing, (12.5, -40.25, 7.125)
    return affine


AFFINE = affine_of((0.1, -0.2, 0.3), (0.9, 1.1, 2.5))
GRID = Geometry(SHAPE, AFFINE)
TRUTH = np.random.default_rng(0).integers(0, 3, SHAPE)
WANTED = np.array([0, 1, 4])[TRUTH]


@given(
    turn=st.tuples(*[st.floats(-3.1, 3.1)] * 3),
    spacing=st.tuples(*[st.sampled_from([0.3, 1.0, 2.7])] * 3),
    axes=st.permutations([0, 1, 2]),
    flips=st.tuples(*[st.booleans()] * 3),
    kind=st.sampled_from(["BINARY", "LABELMAP"]),
    omit=st.booleans(),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_every_voxel_comes_back_however_scan_and_mask_are_turned(turn, spacing, axes, flips, kind, omit, seed) -> None:
    """The mask is written along other axes than the scan's, mirrored or not."""
    affine = affine_of(turn, spacing)
    truth = np.random.default_rng(seed).integers(0, 3, SHAPE)
    truth[:, :, 1] = truth[:2] = 0
    back, moved = affine.copy(), np.transpose(truth, axes)
    back[:3, :3] = affine[:3, :3][:, axes]
    for axis in np.flatnonzero(flips):
        back[:3, 3] += back[:3, axis] * (moved.shape[axis] - 1)
        back[:3, axis] *= -1
        moved = np.flip(moved, axis)
    seg = written(moved, back, kind, omit_empty_frames=omit)
    read = read_segmentation(seg, Geometry(SHAPE, affine), VALUES, LIMITS)
    assert np.array_equal(read.voxels[0], np.array([0, 1, 4])[truth])
    assert read.geometry.matches(Geometry(SHAPE, affine))


def test_frames_in_any_order_are_placed_by_what_they_say() -> None:
    seg = dcmread(BytesIO(written(TRUTH, AFFINE)))
    frames = seg.pixel_array
    order = np.random.default_rng(3).permutation(len(frames))
    seg.PixelData = np.packbits(frames[order].ravel(), bitorder="little").tobytes()
    seg.PixelData += bytes(len(seg.PixelData) % 2)
    seg.PerFrameFunctionalGroupsSequence = [seg.PerFrameFunctionalGroupsSequence[int(at)] for at in order]
    assert np.array_equal(read_segmentation(stored(seg), GRID, VALUES, LIMITS).voxels[0], WANTED)


def test_names_count_and_not_numbers_or_case() -> None:
    seg = written(TRUTH, AFFINE, names=("posterior ", "ANTERIOR"))
    assert np.array_equal(read_segmentation(seg, GRID, VALUES, LIMITS).voxels[0], np.array([0, 4, 1])[TRUTH])


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_on_a_real_series_it_lies_where_it_was_drawn(kind: str, real_data, tmp_path) -> None:
    folder = real_data("dicom") / "brain-T2"
    scan = read_scan(folder)
    truth = np.zeros(scan.geometry.shape, np.uint8)
    truth[90:300, 100:200, 3:15], truth[20:40, 400:420, 16] = 1, 2
    by_uid = {one.SOPInstanceUID: one for one in map(dcmread, folder.iterdir())}
    sources = [by_uid[uid] for uid in scan.source.header.instances]
    more = {"transfer_syntax_uid": RLELossless} if kind == "LABELMAP" else {}
    path = tmp_path / "seg.dcm"
    path.write_bytes(stored(made(sources, np.ascontiguousarray(truth.T), kind, **more)))
    assert is_segmentation(path, LIMITS)
    assert not is_segmentation(next(folder.iterdir()), LIMITS)
    read = read_segmentation(path, scan.geometry, VALUES, LIMITS)
    assert np.array_equal(read.voxels[0], np.array([0, 1, 4])[truth])


def shifted(mm: float) -> Geometry:
    affine = AFFINE.copy()
    affine[:3, 3] += AFFINE[:3, 0] / np.linalg.norm(AFFINE[:3, 0]) * mm
    return Geometry(SHAPE, affine)


def overlapping() -> bytes:
    both = np.stack([TRUTH.T == 1, TRUTH.T > 0], axis=-1).astype(np.uint8)
    return stored(made(slices(AFFINE, SHAPE), np.ascontiguousarray(both)))


def fractional() -> bytes:
    return written(np.minimum(TRUTH, 1), AFFINE, "FRACTIONAL", names=("Anterior",))


def otherwise_named() -> bytes:
    return written(TRUTH, AFFINE, names=("Anterior", "Wiedersheim"))


REFUSED = {
    "between the voxels": (lambda: written(TRUTH, AFFINE), shifted(0.3), "mm beside"),
    "coarser": (lambda: written(TRUTH, AFFINE), Geometry(SHAPE, AFFINE @ np.diag([2, 2, 2, 1])), "mm beside"),
    "smaller": (lambda: written(TRUTH, AFFINE), Geometry((4, 6, 5), AFFINE), "outside"),
    "elsewhere": (lambda: written(TRUTH, AFFINE), shifted(9.0), "outside"),
    "other names": (otherwise_named, GRID, "called otherwise"),
    "fractions": (fractional, GRID, "fractions"),
    "overlap": (overlapping, GRID, "overlap"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_without_its_words(case: str) -> None:
    make, grid, words = REFUSED[case]
    with pytest.raises(ScanUnusable, match=words) as refused:
        read_segmentation(make(), grid, VALUES, LIMITS)
    assert not says_who(str(refused.value).encode())


def test_limits_hold_before_pixels_are_decoded() -> None:
    seg = dcmread(BytesIO(written(TRUTH, AFFINE)))
    seg.Rows, seg.NumberOfFrames = 60000, 900000
    with pytest.raises(ScanTooLarge):
        read_segmentation(stored(seg), GRID, VALUES, LIMITS)


def test_damaged_ones_are_refused_or_read_and_never_quoted() -> None:
    good, told = written(TRUTH, AFFINE), list[str]()
    for seed in range(80):
        chance, data = np.random.default_rng(seed), bytearray(good)
        for at in chance.integers(132, len(data), 8):
            data[at] = chance.integers(256)
        try:
            read_segmentation(bytes(data[: chance.integers(200, len(data) * 2)]), GRID, VALUES, LIMITS)
        except ScanError as error:
            told.append(str(error))
    assert len(told) > 20
    assert "ID-4711-Q" not in "".join(told)


def test_a_scan_that_claims_to_be_a_segmentation_is_refused_and_not_quoted(real_data) -> None:
    scan = planted(next((real_data("dicom") / "brain-T2").iterdir()))
    scan.Modality = "SEG"
    with pytest.raises(ScanError) as refused:
        read_segmentation(stored(scan), GRID, VALUES, LIMITS)
    assert not says_who(str(refused.value).encode())
