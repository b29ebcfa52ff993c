"""Enhanced multi-frame images: one file, a plane a frame."""

import random
from pathlib import Path

import highdicom
import numpy as np
import pytest
from dicom_series import STEP, enhanced, into, pixels, stored
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from skipseg.models.errors import ScanCorrupt, ScanUnusable
from skipseg.models.scans.geometry import Geometry
from skipseg.models.scans.reader import read_scan

LPS_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
PLACES = [(-10, 20, 30 + STEP * k) for k in range(6)]
OBLIQUE = (0.8, 0.6, 0, -0.48, 0.64, 0.6)


def shuffled() -> tuple[np.ndarray, list[tuple[float, ...]], list[int]]:
    order = random.Random(3).sample(range(6), 6)
    normal = np.cross(OBLIQUE[:3], OBLIQUE[3:])
    return pixels()[order], [tuple(np.array([1.5, -2, 7]) + normal * STEP * k) for k in order], order


def test_an_enhanced_image_is_read_as_highdicom_reads_it(tmp_path: Path) -> None:
    values, places, order = shuffled()
    made = enhanced(values, places, OBLIQUE)
    volume = read_scan(stored(made))
    np.testing.assert_array_equal(volume.voxels[0].transpose(2, 1, 0), pixels() - 24)
    path = tmp_path / "enhanced.dcm"
    path.write_bytes(stored(made))
    theirs = highdicom.imread(path).get_volume().permute_spatial_axes([2, 1, 0])
    if theirs.affine[:3, 2] @ np.cross(OBLIQUE[:3], OBLIQUE[3:]) < 0:
        theirs = theirs.flip_spatial([2])
    assert volume.geometry.distance(Geometry(theirs.spatial_shape, LPS_RAS @ theirs.affine)) < 0.002
    np.testing.assert_array_equal(volume.voxels[0], theirs.array)
    header = volume.source.header
    assert (len(header.slices), header.frames) == (1, tuple(order.index(k) + 1 for k in range(6)))


def test_each_frame_is_rescaled_by_its_own_slope() -> None:
    slopes = [0.5, 1, 1.5, 2, 2.5, 3]
    volume = read_scan(stored(enhanced(pixels(), PLACES, slopes=slopes)))
    expected = pixels() * np.array(slopes)[:, None, None]
    np.testing.assert_allclose(volume.voxels[0].transpose(2, 1, 0), expected, rtol=1e-6)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless, RLELossless])
def test_compressed_frames_are_read_bit_for_bit(syntax: str) -> None:
    values = (np.arange(4 * 32 * 40) % 1999 - 700).astype(np.int16).reshape(4, 32, 40)
    made = enhanced(values, PLACES[:4])
    made.compress(syntax, generate_instance_uid=False)
    np.testing.assert_array_equal(read_scan(stored(made)).voxels[0].transpose(2, 1, 0), values - 24)


def test_frames_of_two_times_in_one_place_are_refused() -> None:
    with pytest.raises(ScanUnusable, match="and differ"):
        read_scan(stored(enhanced(pixels(12), PLACES + PLACES)))


def test_frames_without_places_are_refused() -> None:
    made = enhanced(pixels(), PLACES)
    del made.PerFrameFunctionalGroupsSequence
    with pytest.raises(ScanUnusable, match="do not tell where they lie"):
        read_scan(stored(made))


def test_fewer_places_than_frames_are_refused() -> None:
    with pytest.raises(ScanUnusable, match="6 frames and 5 places"):
        read_scan(stored(enhanced(pixels(), PLACES[:5])))


def test_more_frames_than_pixels_are_refused() -> None:
    made = enhanced(pixels(), PLACES)
    made.PixelData = made.PixelData[:200]
    with pytest.raises(ScanCorrupt, match="756 bytes and are 200"):
        read_scan(stored(made))


def test_several_multi_frame_images_of_a_series_are_refused(tmp_path: Path) -> None:
    one, other = enhanced(pixels(), PLACES), enhanced(pixels(), PLACES)
    other.SeriesInstanceUID = one.SeriesInstanceUID
    with pytest.raises(ScanUnusable, match="send one"):
        read_scan(into(tmp_path, [one, other]))


def test_a_part_of_a_concatenation_is_not_taken_for_the_whole(tmp_path: Path) -> None:
    part = enhanced(pixels(), PLACES)
    part.InConcatenationNumber, part.InConcatenationTotalNumber = 1, 2
    with pytest.raises(ScanUnusable, match="one part of several"):
        read_scan(into(tmp_path, [part]))
