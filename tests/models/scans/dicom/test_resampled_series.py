"""``geometry=resample``: a phantom of known truth, at the places that the new grid claims."""

from pathlib import Path

import numpy as np
import pytest
from dicom_series import STEP, into, series

from skipseg.models.errors import ScanTooLarge, ScanUnusable, UsageError
from skipseg.models.scans.dicom.choice import SeriesChoice
from skipseg.models.scans.limits import Limits
from skipseg.models.scans.reader import read_scan
from skipseg.models.scans.volume import Volume

RESAMPLE = SeriesChoice(geometry="resample")
SPACING = (0.8, 0.7)


def phantom(places: list[tuple[float, float, float]], rows: int = 30, columns: int = 24) -> np.ndarray:
    """Linear in the patient's x, y and z (mm, LPS), so that linear interpolation is exact; (slices, rows, columns)."""
    y, x = np.mgrid[:rows, :columns]
    planes = [1000 + 4 * (px + x * SPACING[1]) + 7 * (py + y * SPACING[0]) + 11 * pz for px, py, pz in places]
    return np.round(np.stack(planes) * 16).astype(np.int32)


def read(folder: Path, places: list[tuple[float, float, float]], limits: Limits | None = None) -> Volume:
    made = series(phantom(places), places, spacing=SPACING, RescaleSlope=1 / 16)
    return read_scan(into(folder, made), limits or Limits(), RESAMPLE)


def truth(volume: Volume) -> np.ndarray:
    """The phantom at every voxel's own place, as the volume's geometry tells it."""
    at = np.stack(np.meshgrid(*map(np.arange, volume.geometry.shape), indexing="ij"), -1)
    ras = at @ volume.geometry.affine[:3, :3].T + volume.geometry.affine[:3, 3]
    return 1000 - 4 * ras[..., 0] - 7 * ras[..., 1] + 11 * ras[..., 2]


def is_orthogonal(volume: Volume) -> bool:
    axes = volume.geometry.affine[:3, :3] / np.linalg.norm(volume.geometry.affine[:3, :3], axis=0)
    return bool(np.abs(axes.T @ axes - np.eye(3)).max() < 1e-6)


UNEVEN = {
    "a gap": [0, 1, 2, 4, 5, 6],
    "two gaps": [0, 1, 3, 4, 6, 7],
    "uneven": [0, 0.9, 2.2, 3, 4.1, 5],
    "wider later": [0, 1, 2, 3, 5, 7, 9],
}


@pytest.mark.parametrize("name", UNEVEN)
def test_uneven_slices_are_interpolated_onto_an_even_grid(name: str, tmp_path: Path) -> None:
    volume = read(tmp_path, [(-10, 20, 30 + STEP * k) for k in UNEVEN[name]])
    np.testing.assert_allclose(volume.voxels[0], truth(volume), atol=0.1)
    assert volume.geometry.affine[2, 3] == pytest.approx(30)
    assert volume.geometry.affine[2, 3] + volume.geometry.affine[2, 2] * (
        volume.geometry.shape[2] - 1
    ) == pytest.approx(30 + STEP * UNEVEN[name][-1])
    assert volume.source.header.resampled is not None
    (note,) = volume.source.notes
    assert note.startswith("resampled: slices are")
    assert ";" not in note


@pytest.mark.parametrize("degrees", [-20, 3, 12.5])
def test_a_tilt_is_sheared_away(degrees: float, tmp_path: Path) -> None:
    shift = np.tan(np.radians(degrees)) * STEP
    volume = read(tmp_path, [(-10, 20 + shift * k, 30 + STEP * k) for k in range(8)])
    assert is_orthogonal(volume)
    assert volume.geometry.shape[2] == 8
    inside = volume.voxels[0] > volume.voxels.min() + 1e-3  # elsewhere no slice was taken
    edge = inside & np.roll(inside, 1, 1) & np.roll(inside, -1, 1)
    assert edge.mean() > 0.5
    np.testing.assert_allclose(volume.voxels[0][edge], truth(volume)[edge], atol=0.1)
    assert "gantry tilt" in volume.source.notes[0]


def test_tilt_and_gap_together(tmp_path: Path) -> None:
    volume = read(tmp_path, [(-10 + 0.4 * k, 20, 30 + STEP * k) for k in (0, 1, 2, 4, 5)])
    assert (is_orthogonal(volume), volume.geometry.shape[2]) == (True, 6)
    inner = np.s_[4:20, :, :]
    np.testing.assert_allclose(volume.voxels[0][inner], truth(volume)[inner], atol=0.1)


def test_a_regular_series_stays_as_it_is_stored(tmp_path: Path) -> None:
    places = [(-10, 20, 30 + STEP * k) for k in range(4)]
    volume = read(tmp_path, places)
    assert (volume.source.header.resampled, volume.source.notes) == (None, ())
    np.testing.assert_array_equal(volume.voxels[0], phantom(places).transpose(2, 1, 0) / 16)


def test_the_new_grid_is_held_to_the_limits(tmp_path: Path) -> None:
    far = [(-10, 20, 30), (-10, 20, 30.02), (-10, 20, 30.04), (-10, 20, 3000)]
    with pytest.raises(ScanTooLarge, match="voxels"):
        read(tmp_path, far, Limits(voxels=30 * 24 * 1000))


def test_what_no_grid_can_mend_is_refused_all_the_same(tmp_path: Path) -> None:
    made = series()
    made[1].ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    with pytest.raises(ScanUnusable, match="one size, orientation"):
        read_scan(into(tmp_path, made), choice=RESAMPLE)


def test_another_wish_is_the_callers_mistake() -> None:
    with pytest.raises(UsageError, match="strict or resample"):
        SeriesChoice(geometry="sheared")  # type: ignore[arg-type]
