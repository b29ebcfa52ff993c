"""From a scan to its mask and back onto the scan's own grid, for every way a scan can lie in space."""

from functools import cache
from itertools import permutations, product
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest
import torch
from bundles import small_bundle, small_plan
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nibabel.orientations import axcodes2ornt, inv_ornt_aff, ornt_transform
from scipy.spatial.transform import Rotation

from skipseg.models.errors import ScanTooLarge, ScanUnusable
from skipseg.models.inference.predictor import Predictor
from skipseg.models.inference.restore import restore
from skipseg.models.plan import Channel
from skipseg.models.preprocess import prepare, prepare_labels
from skipseg.models.scans.geometry import Geometry
from skipseg.models.scans.limits import DEFAULT_LIMITS, Limits
from skipseg.models.scans.volume import Source, Volume

ORIENTATIONS = ["".join(codes) for axes in permutations(("RL", "AP", "SI")) for codes in product(*axes)]
SIZES = st.tuples(*[st.integers(5, 23)] * 3)
SPACINGS = st.tuples(*[st.sampled_from([0.5, 0.9, 1.0, 1.7, 3.1])] * 3)
TILTS = st.tuples(*[st.floats(-20, 20)] * 3)


@cache
def predictor(spacing=(1.2, 1.0, 1.5)) -> Predictor:
    plan = small_plan(spacing=spacing, tile=(16, 16, 16))
    return Predictor(small_bundle(Path(mkdtemp()) / "small", plan), "cpu", "fp32")


def scan(size, spacing, tilt, seed=0) -> Volume:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", tilt, degrees=True).as_matrix() @ np.diag(spacing)
    affine[:3, 3] = (-31.5, 12.25, 7)
    voxels = np.random.default_rng(seed).normal(size=(1, *size)).astype(np.float32)
    return Volume(voxels, Geometry(size, affine), Source("nifti"))


def reoriented(volume: Volume, codes: str) -> Volume:
    """The same scan, stored with other array axes; done by nibabel's own rules, not ours."""
    change = ornt_transform(axcodes2ornt(volume.geometry.orientation), axcodes2ornt(codes))
    affine = volume.geometry.affine @ inv_ornt_aff(change, volume.geometry.shape)
    voxels = reorient(volume.voxels[0], change)
    return Volume(np.ascontiguousarray(voxels[None]), Geometry(voxels.shape, affine), Source("nifti"))


def reorient(voxels, change):
    flipped = np.flip(voxels, [axis for axis in range(3) if change[axis, 1] < 0])
    return flipped.transpose(np.argsort(change[:, 0]).astype(int))


@pytest.mark.parametrize("codes", ORIENTATIONS)
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(size=SIZES, spacing=SPACINGS, tilt=TILTS)
def test_the_mask_of_a_reoriented_scan_is_the_reoriented_mask(codes, size, spacing, tilt):
    first = scan(size, spacing, tilt)
    second = reoriented(first, codes)
    assert second.geometry.orientation == codes
    here, there = predictor().segment(first), predictor().segment(second)
    assert there.voxels.shape == second.geometry.shape
    assert there.geometry is second.geometry
    change = ornt_transform(axcodes2ornt(first.geometry.orientation), axcodes2ornt(codes))
    assert np.array_equal(reorient(here.voxels, change), there.voxels)


@settings(max_examples=40, deadline=None)
@given(size=SIZES, spacing=SPACINGS, tilt=TILTS, codes=st.sampled_from(ORIENTATIONS))
def test_turning_a_grid_moves_no_voxel_in_the_patient(size, spacing, tilt, codes):
    geometry = scan(size, spacing, tilt).geometry
    turn = geometry.turn_to(codes)
    turned = geometry.turned(turn)
    assert turned.orientation == codes
    index = np.arange(np.prod(size)).reshape(size)
    assert np.array_equal(turn.undo(turn.apply(index)), index)
    at = np.argwhere(turn.apply(index) == index[1, 2, 3])[0]
    np.testing.assert_allclose((turned.affine @ [*at, 1])[:3], (geometry.affine @ [1, 2, 3, 1])[:3], atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(size=SIZES, spacing=SPACINGS, tilt=TILTS, codes=st.sampled_from(ORIENTATIONS))
def test_labels_come_back_voxel_for_voxel_when_nothing_is_resampled(size, spacing, tilt, codes):
    volume = reoriented(scan(size, spacing, tilt), codes)
    truth = np.random.default_rng(1).integers(0, 4, volume.geometry.shape)
    plan = small_plan(classes=4, spacing=None)
    placement = prepare(volume, plan).placement
    scores = torch.nn.functional.one_hot(torch.from_numpy(prepare_labels(truth, placement)).long(), 4).movedim(-1, 0)
    assert np.array_equal(restore(scores.float(), placement), truth)


@settings(max_examples=20, deadline=None)
@given(
    tilt=TILTS,
    codes=st.sampled_from(ORIENTATIONS),
    spacing=st.sampled_from([(0.7, 0.7, 1.4), (2, 1, 1), (1.6, 1.6, 1.6)]),
)
def test_a_ball_resampled_there_and_back_stays_where_it_was(tilt, codes, spacing):
    base = scan((30, 32, 28), (1, 1, 1), tilt)
    places = (
        np.moveaxis(np.indices(base.geometry.shape), 0, -1) @ base.geometry.affine[:3, :3].T
        + base.geometry.affine[:3, 3]
    )
    centre = base.geometry.affine @ [15, 14, 13, 1]
    ball = Volume(
        (np.linalg.norm(places - centre[:3], axis=-1) < 8)[None].astype(np.float32), base.geometry, base.source
    )
    volume = reoriented(ball, codes)
    truth = volume.voxels[0].astype(np.uint8)
    as_is = Channel(name="ball", normalisation="fixed", low=0, high=1)
    prepared = prepare(volume, small_plan(spacing=spacing, channels=(as_is,)))
    back = restore(torch.cat([1 - prepared.image, prepared.image]), prepared.placement)
    assert dice(back, truth) > 0.94
    assert np.abs(np.argwhere(back).mean(0) - np.argwhere(truth).mean(0)).max() < 0.05
    classes = torch.from_numpy(prepare_labels(truth, prepared.placement)).long()
    hard = restore(torch.nn.functional.one_hot(classes, 2).movedim(-1, 0).float(), prepared.placement)
    assert dice(hard, truth) > 0.9


def dice(ours, truth):
    return 2 * (ours & truth).sum() / (ours.sum() + truth.sum())


@pytest.mark.parametrize("background", [0, -3.5, -1024, 255])
def test_what_lies_outside_the_content_is_background_whatever_value_that_has(background):
    voxels = np.full((1, 20, 21, 22), background, np.float32)
    voxels[:, 4:15, 5:19, 6:17] = np.random.default_rng(0).normal(50, 1, (1, 11, 14, 11))
    volume = Volume(voxels, Geometry((20, 21, 22), np.diag([-1, -1, 1, 1])), Source("nifti"))
    prepared = prepare(volume, small_plan(crop_to_content=True))
    assert prepared.image.shape == (1, 11, 14, 11)
    assert abs(prepared.image.mean()) < 1e-3
    found = restore(torch.stack([torch.zeros(11, 14, 11), torch.ones(11, 14, 11)]), prepared.placement)
    assert np.array_equal(found, (voxels[0] != background).astype(np.uint8))


def disc(end_radius: float) -> Volume:
    """A thick noisy disc on zeros through every slice; in the first and the last slice it has another radius."""
    apart = np.hypot(*np.meshgrid(np.arange(128) - 63.5, np.arange(128) - 63.5, indexing="ij"))
    radius = np.full(16, 50.0)
    radius[[0, -1]] = end_radius
    noise = np.random.default_rng(0).normal(100, 5, (128, 128, 16))
    voxels = np.where(apart[..., None] < radius, noise, 0)[None].astype(np.float32)
    return Volume(voxels, Geometry(voxels.shape[1:], np.eye(4)), Source("nifti"))


def test_what_is_background_is_judged_on_the_whole_scan_and_not_on_what_is_left_of_it():
    wide, narrow = (prepare(disc(radius), small_plan(crop_to_content=True)).image for radius in (50, 20))
    assert wide.shape == narrow.shape == (1, 100, 100, 16)
    torch.testing.assert_close(wide[0, 50, 50], narrow[0, 50, 50], rtol=0, atol=0.05)


def test_two_backgrounds_are_told_channel_by_channel():
    voxels = np.stack([disc(20).voxels[0], 255 - disc(20).voxels[0]])
    volume = Volume(voxels, Geometry(voxels.shape[1:], np.eye(4)), Source("nifti"))
    image = prepare(volume, small_plan(channel_count=2, crop_to_content=True)).image
    torch.testing.assert_close(image[0], -image[1], rtol=1e-4, atol=1e-4)


def test_classes_above_255_keep_their_numbers():
    volume = scan((12, 13, 14), (1, 1, 1), (0, 0, 0))
    truth = np.zeros((12, 13, 14), np.int64)
    truth[:6], truth[6:] = 256, 300
    for spacing in (None, (2, 2, 2)):
        classes = prepare_labels(truth, prepare(volume, small_plan(spacing=spacing)).placement)
        assert classes.dtype == np.uint16
        assert set(np.unique(classes)) == {256, 300}
    assert prepare_labels(truth - 200, prepare(volume, small_plan()).placement).dtype == np.uint8


def test_what_the_network_would_need_is_counted_before_it_is_taken():
    volume = scan((12, 12, 12), (2, 2, 2), (0, 0, 0))
    needed = 24**3 * (1 + 3) * 4
    prepare(volume, small_plan(spacing=(1, 1, 1)), Limits(network_bytes=needed))
    with pytest.raises(ScanTooLarge, match="1 channels and 3 classes of 24 x 24 x 24"):
        prepare(volume, small_plan(spacing=(1, 1, 1)), Limits(network_bytes=needed - 1))


def test_a_ct_with_twenty_labels_is_allowed_and_one_grown_from_a_small_file_is_not():
    DEFAULT_LIMITS.check_network((512, 512, 600), 1, 21)
    with pytest.raises(ScanTooLarge, match="24 GiB"):
        DEFAULT_LIMITS.check_network((1500, 1500, 600), 1, 21)


def test_a_scan_that_would_grow_64_times_is_taken_for_a_wrong_header():
    volume = Volume(np.zeros((1, 65, 65, 65), np.float32), Geometry((65, 65, 65), np.diag([4, 4, 4, 1])), Source("mha"))
    with pytest.raises(ScanUnusable, match="4x4x4 mm"):
        prepare(volume, small_plan(spacing=(1, 1, 1)))


def test_a_scan_without_background_is_not_cropped():
    volume = scan((12, 13, 14), (1, 1, 1), (0, 0, 0))
    assert prepare(volume, small_plan(crop_to_content=True)).image.shape == (1, 12, 13, 14)


def test_intensities_over_many_orders_of_magnitude_are_normalised_alike():
    small = scan((12, 12, 12), (1, 1, 1), (0, 0, 0))
    image = prepare(small, small_plan()).image
    for factor, offset in [(1e-6, 0), (1e8, 0), (1, 1e4), (2e5, 3e6)]:
        scaled = Volume((small.voxels * np.float32(factor) + np.float32(offset)), small.geometry, small.source)
        torch.testing.assert_close(prepare(scaled, small_plan()).image, image, rtol=1e-2, atol=1e-2)


def test_ct_numbers_are_clipped_and_scaled_as_the_plan_says():
    volume = Volume(
        np.linspace(-2000, 2000, 8 * 8 * 8, dtype=np.float32).reshape(1, 8, 8, 8),
        Geometry((8, 8, 8), np.eye(4)),
        Source("nifti"),
    )
    channel = Channel(name="CT", normalisation="fixed", low=-100, high=300, mean=50, std=100)
    image = prepare(volume, small_plan(channels=(channel,))).image
    assert image.min() == -1.5
    assert image.max() == 2.5


@pytest.mark.parametrize(
    ("voxels", "spacing", "words"),
    [
        (np.ones((1, 8, 8, 8)), 1, "same value"),
        (np.zeros((1, 8, 8, 8)), 1, "same value"),
        (np.random.default_rng(0).normal(size=(2, 8, 8, 8)), 1, "needs 1 channels"),
        (np.random.default_rng(0).normal(size=(1, 8, 8, 8)), 900, "check the scan's header"),
    ],
)
def test_a_scan_the_model_cannot_use_is_refused_with_the_reason(voxels, spacing, words):
    volume = Volume(voxels.astype(np.float32), Geometry((8, 8, 8), np.diag([spacing] * 3 + [1])), Source("nifti"))
    with pytest.raises(ScanUnusable, match=words):
        prepare(volume, small_plan(spacing=(1, 1, 1)))


def test_a_2d_network_takes_a_stack_slice_by_slice(tmp_path):
    plan = small_plan(2, orientation="RAS")
    two = Predictor(small_bundle(tmp_path / "two", plan), "cpu", "fp32")
    stack = scan((19, 21, 3), (1, 1, 4), (0, 0, 0))
    whole = two.segment(stack).voxels
    assert whole.shape == (19, 21, 3)
    classes = two.segment(stack).voxels
    assert isinstance(classes, np.ndarray)  # off the device: what follows may run on any thread
    assert np.array_equal(classes, whole)
    assert len(np.unique(whole)) > 1
