"""What a plan mends in a mask, and what it leaves alone."""

from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest
import torch
from bundles import small_bundle, small_plan
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from skipseg.models.cleanup import cleaned
from skipseg.models.errors import BundleError
from skipseg.models.inference.backends.eager import Eager
from skipseg.models.inference.predictor import Predictor
from skipseg.models.plan import CleanUp
from skipseg.models.scans.geometry import Geometry
from skipseg.models.scans.volume import Source, Volume

LARGEST = CleanUp(keep_largest=True)


def ball(size=21, radius=8):
    at = np.indices((size,) * 3) - size // 2
    return (np.sqrt((at**2).sum(0)) <= radius).astype(np.uint8)


def test_the_largest_piece_stays_and_the_others_become_background():
    mask = np.zeros((20, 20, 20), np.uint8)
    mask[1:9, 1:9, 1:9], mask[12:15, 12:15, 12:15], mask[18, 18, 18] = 1, 1, 2
    found = cleaned(mask, {1: LARGEST}, 1.0)
    assert found.sum() == 8**3 + 2
    assert mask.sum() == 8**3 + 3**3 + 2  # what was given is as it was


def test_pieces_that_share_a_corner_are_one():
    mask = np.zeros((6, 6, 6), np.uint8)
    mask[1:3, 1:3, 1:3], mask[3, 3, 3] = 1, 1
    assert np.array_equal(cleaned(mask, {1: LARGEST}, 1.0), mask)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 999), share=st.floats(0.05, 0.95))
def test_what_is_left_is_one_piece_of_the_label_and_others_are_untouched(seed, share):
    from scipy.ndimage import label

    mask = np.random.default_rng(seed).choice(3, (7, 6, 8), p=[1 - share, share / 2, share / 2]).astype(np.uint8)
    found = cleaned(mask, {1: LARGEST}, 1.0)
    assert label(found == 1, np.ones((3, 3, 3)))[1] <= 1
    assert np.array_equal(found == 2, mask == 2)
    assert not ((found == 1) & (mask != 1)).any()


@pytest.mark.parametrize(("most", "filled"), [(7, False), (8, True), (100, True)])
def test_holes_are_filled_up_to_a_size_in_cubic_millimetres(most, filled):
    mask = ball()
    mask[9:11, 9:11, 9:11] = 0
    found = cleaned(mask, {1: CleanUp(fill_holes_mm3=most * 0.5)}, 0.5)
    assert np.array_equal(found, ball() if filled else mask)


def test_only_background_that_the_label_alone_encloses_is_a_hole():
    fill = {1: CleanUp(fill_holes_mm3=1e6)}
    tumour, gap, open_ = ball(), ball(), ball()
    tumour[9:12, 9:12, 9:12] = 2
    assert np.array_equal(cleaned(tumour, fill, 1.0), tumour)
    gap[9:12, 9:12, 9:12], gap[10, 10, 10] = 0, 2  # around another label
    assert np.array_equal(cleaned(gap, fill, 1.0), gap)
    open_[10, 10, 10:] = 0
    assert np.array_equal(cleaned(open_, fill, 1.0), open_)
    cut = ball()[:, :, 10:].copy()
    cut[10, 10, :3] = 0  # open where the scan ends
    assert np.array_equal(cleaned(cut, fill, 1.0), cut)


def test_a_hole_in_a_picture_is_one():
    mask = ball()[:, :, 10:11].copy()
    mask[10, 10] = 0
    assert cleaned(mask, {1: CleanUp(fill_holes_mm3=1)}, 1.0)[10, 10, 0] == 1


def test_a_label_that_is_not_there_and_one_that_is_everywhere_are_left_alone():
    rules = {1: CleanUp(keep_largest=True, fill_holes_mm3=9)}
    for mask in (np.zeros((4, 4, 4), np.uint8), np.ones((4, 4, 4), np.uint8)):
        assert np.array_equal(cleaned(mask, rules, 1.0), mask)


class Threshold(torch.nn.Module):
    """Label 1 where the scan is bright."""

    def forward(self, image):
        return torch.cat([-image, image, torch.full_like(image, -9)], 1)


def test_the_plan_of_a_bundle_decides_which_labels_are_mended():
    voxels = np.random.default_rng(0).normal(-5, 0.1, (1, 24, 20, 22)).astype(np.float32)
    voxels[0, 3:12, 3:12, 3:12], voxels[0, 15:17, 15:17, 15:17] = 5, 5
    volume = Volume(voxels, Geometry((24, 20, 22), np.diag([-1, 2, 1, 1])), Source("nrrd"))
    counts = []
    for cleanup in ({}, {"label 1": LARGEST}, {"label 2": LARGEST}):
        bundle = small_bundle(Path(mkdtemp()) / "small", small_plan(cleanup=cleanup))
        mask = Predictor(bundle, backend=Eager(Threshold(), torch.device("cpu"), "fp32")).segment(volume)
        counts.append(mask.counts()["label 1"])
    assert counts == [9**3 + 2**3, 9**3, 9**3 + 2**3]


def test_a_rule_for_nothing_and_one_for_a_label_that_is_none_are_refused(tmp_path):
    with pytest.raises(ValidationError, match="keep_largest or fill_holes_mm3"):
        CleanUp()
    with pytest.raises((ValidationError, BundleError), match="'liver'"):
        small_bundle(tmp_path / "small", small_plan(cleanup={"liver": LARGEST}))
