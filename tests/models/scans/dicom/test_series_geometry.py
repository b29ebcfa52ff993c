"""Where a series' voxels lie: right within 0.01 mm, or refused with the slices named."""

import random
from collections.abc import Callable
from pathlib import Path

import highdicom
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from dicom_series import AXIAL, STEP, into, pixels, read_all, series
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid
from scipy.spatial.transform import Rotation

from skipseg.models.errors import ScanUnusable
from skipseg.models.scans.geometry import Geometry
from skipseg.models.scans.reader import read_scan
from skipseg.models.scans.volume import Volume

REAL = ("brain-T1post", "brain-T2", "hippocampus-crop-1", "hippocampus-crop-2", "hippocampus-crop-3")
LPS_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
SAGITTAL, CORONAL = (0, 1, 0, 0, 0, -1), (1, 0, 0, 0, 0, -1)
NEGATED = (-1, 0, 0, 0, -1, 0)  # the same normal, rows and columns the other way


def volume_of(folder: Path, datasets: list[Dataset]) -> Volume:
    return read_scan(into(folder, datasets))


def truth(datasets: list[Dataset]) -> np.ndarray:
    """The affine by PS3.3 C.7.6.2.1.1, from the two outermost slices; ``datasets`` are sorted along the normal."""
    row, column = np.split(np.array(datasets[0].ImageOrientationPatient, dtype=float), 2)
    first, last = (np.array(one.ImagePositionPatient, dtype=float) for one in (datasets[0], datasets[-1]))
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = row * datasets[0].PixelSpacing[1], column * datasets[0].PixelSpacing[0]
    affine[:3, 2], affine[:3, 3] = (last - first) / (len(datasets) - 1), first
    return LPS_RAS @ affine


def assert_right(volume: Volume, values: np.ndarray, affine: np.ndarray) -> None:
    """``values`` (slices, rows, columns) in the order of the normal."""
    assert volume.geometry.distance(Geometry(values.shape[::-1], affine)) < 0.01
    np.testing.assert_array_equal(volume.voxels[0], values.transpose(2, 1, 0))


@pytest.mark.parametrize("name", REAL)
def test_a_real_series_lies_where_two_other_readers_put_it(name: str, real_data: Callable[[str], Path]) -> None:
    folder = real_data("dicom") / name
    volume = read_scan(folder)

    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    by_itk = np.eye(4)
    by_itk[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing())
    by_itk[:3, 3] = image.GetOrigin()
    assert volume.geometry.distance(Geometry(image.GetSize(), LPS_RAS @ by_itk)) < 0.002
    np.testing.assert_array_equal(volume.voxels[0], sitk.GetArrayFromImage(image).T)

    theirs = highdicom.get_volume_from_series([dcmread(path) for path in folder.iterdir()])
    theirs = theirs.permute_spatial_axes([2, 1, 0])  # columns, rows, slices
    by_highdicom = Geometry(theirs.spatial_shape, LPS_RAS @ theirs.affine)
    flipped = theirs.affine[:3, 2] @ (LPS_RAS @ volume.geometry.affine)[:3, 2] < 0
    if flipped:
        theirs = theirs.flip_spatial([2])
        by_highdicom = Geometry(theirs.spatial_shape, LPS_RAS @ theirs.affine)
    assert volume.geometry.distance(by_highdicom) < 0.002
    np.testing.assert_array_equal(volume.voxels[0], theirs.array)


@pytest.mark.parametrize("orientation", [AXIAL, SAGITTAL, CORONAL, NEGATED, (0.8, 0.6, 0, -0.48, 0.64, 0.6)])
def test_slices_are_sorted_along_their_normal_whatever_they_are_called(
    orientation: tuple[float, ...], tmp_path: Path
) -> None:
    made = series(orientation=orientation)
    shuffled = random.Random(1).sample(made, len(made))
    for number, one in enumerate(shuffled):
        one.InstanceNumber = number
    assert_right(volume_of(tmp_path, shuffled), pixels(), truth(made))


def test_slices_stored_from_the_other_end_are_turned_round(tmp_path: Path) -> None:
    backwards = [(-10, 20, 30 - STEP * k) for k in range(6)]
    made = series(positions=backwards)
    assert_right(volume_of(tmp_path, made), pixels()[::-1], truth(made[::-1]))


@settings(max_examples=40, deadline=None)
@given(
    turn=st.tuples(*[st.floats(-180, 180)] * 3),
    spacing=st.tuples(*[st.floats(0.1, 8)] * 3),
    origin=st.tuples(*[st.floats(-500, 500)] * 3),
    shape=st.tuples(*[st.integers(2, 6)] * 3),
)
def test_reading_a_series_gives_the_affine_it_was_made_with(
    turn: tuple[float, ...],
    spacing: tuple[float, ...],
    origin: tuple[float, ...],
    shape: tuple[int, ...],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    axes = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = axes * np.array(spacing), origin
    places = [affine[:3, 3] + affine[:3, 2] * k for k in range(shape[2])]
    values = pixels(*shape[::-1])
    made = series(values, places, (*axes[:, 0], *axes[:, 1]), (round(spacing[1], 6), round(spacing[0], 6)))
    assert_right(volume_of(tmp_path_factory.mktemp("series"), made), values, LPS_RAS @ affine)


def test_positions_rounded_as_scanners_round_them_are_read(tmp_path: Path) -> None:
    places = [(-10, 20, round(30.123456 + 0.7 * k, 2)) for k in range(40)]
    volume = volume_of(tmp_path, series(pixels(40), places))
    assert volume.geometry.spacing[2] == pytest.approx(0.7, abs=1e-4)


def test_direction_cosines_of_four_digits_are_read(tmp_path: Path) -> None:
    orientation = (0.9998, 0.0175, 0, -0.0175, 0.9998, 0)
    made = series(orientation=orientation)
    assert volume_of(tmp_path, made).geometry.spacing == pytest.approx((0.7, 0.8, STEP), abs=1e-3)


def moved(number: int, by: tuple[float, float, float]) -> Callable[[list[Dataset]], list[Dataset]]:
    def spoil(made: list[Dataset]) -> list[Dataset]:
        made[number].ImagePositionPatient = (np.array(made[number].ImagePositionPatient, float) + by).tolist()
        return made

    return spoil


def tilted(made: list[Dataset]) -> list[Dataset]:
    for number, one in enumerate(made):
        one.ImagePositionPatient = [-10, 20 + number * STEP * np.tan(np.radians(15)), 30 + number * STEP]
    return made


def turned(made: list[Dataset]) -> list[Dataset]:
    made[4].ImageOrientationPatient = list(SAGITTAL)
    return made


def larger(made: list[Dataset]) -> list[Dataset]:
    made[4] = series(pixels(1, 9, 9), [made[4].ImagePositionPatient], uid=made[4].SeriesInstanceUID)[0]
    return made


def of_other_phase(made: list[Dataset]) -> list[Dataset]:
    (other,) = series(pixels(1) + 1, [made[2].ImagePositionPatient], uid=made[2].SeriesInstanceUID)
    other.FrameOfReferenceUID = made[2].FrameOfReferenceUID
    return [*made, other]


def elsewhere(made: list[Dataset]) -> list[Dataset]:
    made[3].FrameOfReferenceUID = generate_uid()
    return made


SPOILED = {
    "a slice is missing": (lambda made: made[:2] + made[3:], ["missing", "32.50 and 37.50"]),
    "two are missing": (lambda made: made[:2] + made[4:], ["missing", "32.50 and 40.00"]),
    "a slice is too high": (moved(3, (0, 0, 0.4)), ["unevenly", "37.90"]),
    "the gantry was tilted": (tilted, ["tilt of 15.00 degrees", "30.00 and 42.50"]),
    "a slice is shifted": (moved(3, (1.5, 0, 0)), ["shifted", "1.50 mm"]),
    "orientations are mixed": (turned, ["one size, orientation", "1 of 6", "40.00"]),
    "sizes are mixed": (larger, ["one size, orientation", "40.00"]),
    "frames of reference are mixed": (elsewhere, ["frame of reference", "37.50"]),
    "two phases lie in one place": (of_other_phase, ["35.00 mm and differ"]),
}


@pytest.mark.parametrize("name", SPOILED)
def test_what_lies_on_no_regular_grid_is_refused_and_the_slices_are_named(name: str, tmp_path: Path) -> None:
    spoil, words = SPOILED[name]
    with pytest.raises(ScanUnusable) as refusal:
        volume_of(tmp_path, spoil(series()))
    assert all(word in str(refusal.value) for word in words), str(refusal.value)


def test_a_slice_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    made = series()
    copy = Dataset()
    copy.update(made[2])
    copy.file_meta, copy.SOPInstanceUID = made[2].file_meta, generate_uid()
    volume = volume_of(tmp_path, [*made, copy])
    assert_right(volume, pixels(), truth(made))
    assert volume.source.header.ignored == 1


def test_a_localizer_in_the_series_is_left_out_and_told(tmp_path: Path) -> None:
    made = series()
    scout = series(pixels(1, 20, 20), [(0, 0, 0)], SAGITTAL, uid=made[0].SeriesInstanceUID)
    scout[0].ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    volume = volume_of(tmp_path, [*scout, *made])
    assert_right(volume, pixels(), truth(made))
    assert (volume.source.header.ignored, volume.source.notes) == (1, ("1 files beside the series were not used",))


def test_the_header_keeps_the_slices_in_the_order_of_the_voxels(tmp_path: Path) -> None:
    made = series()
    header = volume_of(tmp_path, made[::-1]).source.header
    assert header.instances == tuple(one.SOPInstanceUID for one in made)
    assert header.series == made[0].SeriesInstanceUID
    assert all("PixelData" not in one for one in header.slices)


def test_a_slice_alone_is_as_thick_as_it_says(tmp_path: Path) -> None:
    volume = volume_of(tmp_path / "one", series(pixels(1), SliceThickness=4.5))
    assert volume.geometry.spacing == pytest.approx((0.7, 0.8, 4.5))
    with pytest.raises(ScanUnusable, match="thickness"):
        volume_of(tmp_path / "none", series(pixels(1), SliceThickness=None))


def test_what_tells_no_place_is_refused(tmp_path: Path) -> None:
    made = series()
    for one in made:
        del one.ImagePositionPatient
    with pytest.raises(ScanUnusable, match="do not tell where they lie"):
        volume_of(tmp_path, made)


@pytest.mark.parametrize("name", REAL[2:3])
def test_real_slices_of_a_spoiled_copy_are_refused(name: str, real_data: Callable[[str], Path], tmp_path: Path) -> None:
    made = sorted(read_all(real_data("dicom") / name), key=lambda one: float(one.ImagePositionPatient[2]))
    with pytest.raises(ScanUnusable, match=r"not between 10\.00 and 12\.00 mm"):
        volume_of(tmp_path, [one for one in made if float(one.ImagePositionPatient[2]) != 11])
