"""The trust score: 1 where nothing is unusual, less and with a reason where something is."""

import numpy as np
import pytest
import torch

from skipseg.models.inference.certainty import entropy_of
from skipseg.models.labels import Labels
from skipseg.models.scans.geometry import Geometry
from skipseg.models.scans.volume import Mask, Source
from skipseg.models.trust import LabelRange, Ranges, Trust, trust_in

LABELS = Labels.from_names({1: "rod", 2: "cone"})
RANGES = Ranges(
    orientation="RAS",
    spacing=((1, 1), (1, 1), (2, 2)),
    labels={
        "rod": LabelRange(volume_mm3=(100, 200), share=(0.01, 0.02), pieces=1, always=True),
        "cone": LabelRange(volume_mm3=(20, 40), share=(0.002, 0.004), pieces=2, always=False),
    },
)


def mask_of(*blocks, spacing=(1.0, 1.0, 2.0), source="nifti"):
    """A mask of (label, first voxel, size) blocks."""
    voxels = np.zeros((20, 20, 20), np.uint8)
    for label, at, size in blocks:
        voxels[tuple(slice(start, start + length) for start, length in zip(at, size, strict=True))] = label
    return Mask(voxels, Geometry(voxels.shape, np.diag([*spacing, 1.0])), Source(source), LABELS)


ROD = (1, (2, 2, 2), (4, 4, 4))  # 128 mm3
CONE = (2, (12, 12, 12), (2, 2, 4))  # 32 mm3


def test_a_usual_mask_is_trusted_as_far_as_the_network_is_sure():
    assert trust_in(mask_of(ROD, CONE), 0.1, RANGES) == Trust(score=0.9, certainty=0.9, entropy=0.1)


def test_every_unusual_thing_lowers_the_score_and_is_told():
    odd = trust_in(mask_of((1, (2, 2, 2), (2, 4, 4)), (1, (2, 10, 10), (2, 4, 4)), CONE), 0.4, RANGES)
    assert odd.pieces == 0.5
    assert odd.score == pytest.approx(0.6 * 0.5)
    assert odd.flags == (
        "the network is unsure: entropy 0.40 of 1",
        "rod lies in 2 pieces; in training it had at most 1 piece",
    )


@pytest.mark.parametrize(("size", "share"), [((2, 2, 4), 0.32), ((10, 10, 4), 0.25)])
def test_a_volume_outside_the_training_range_counts_by_its_ratio(size, share):
    odd = trust_in(mask_of((1, (2, 2, 2), size), CONE), 0, RANGES)
    assert odd.size == pytest.approx(share)
    assert "rod has" in odd.flags[0]
    assert "in training it had 100 to 200" in odd.flags[0]


def test_a_label_that_every_training_case_had_must_be_there_and_another_need_not():
    assert trust_in(mask_of(ROD), 0.1, RANGES).score == pytest.approx(0.9)
    missing = trust_in(mask_of(CONE), 0.1, RANGES)
    assert missing.score == 0
    assert missing.flags == ("rod was not found; every training case had it",)


def test_nothing_found_is_told():
    nothing = trust_in(mask_of(), None, RANGES)
    assert nothing.score == 0
    assert nothing.flags[0] == "nothing was found"


@pytest.mark.parametrize(("spacing", "share"), [((1, 1, 2.05), 1), ((1, 1, 4.2), 0.5), ((0.5, 1, 2), 0.525)])
def test_a_spacing_never_trained_on_counts_by_its_ratio(spacing, share):
    wide = RANGES.model_copy(
        update={"labels": {"cone": RANGES.labels["cone"].model_copy(update={"volume_mm3": (1, 999)})}}
    )
    found = trust_in(mask_of(ROD, CONE, spacing=spacing), 0, wide)
    assert found.spacing == pytest.approx(share)
    assert bool(found.flags) == (share < 1)


def test_a_scan_stored_along_other_axes_has_the_same_spacing():
    voxels = np.zeros((20, 20, 20), np.uint8)
    voxels[2:6, 2:6, 2:6] = 1
    affine = np.array([[0, 1.0, 0, 0], [0, 0, 1.0, 0], [2.0, 0, 0, 0], [0, 0, 0, 1]])
    turned = Mask(voxels, Geometry(voxels.shape, affine), Source("nifti"), LABELS)
    assert trust_in(turned, 0, RANGES).score == 1


def test_pictures_are_judged_by_shares_alone():
    picture = mask_of((1, (2, 2, 2), (5, 5, 5)), spacing=(7, 7, 7), source="png")  # 125 of 8000 voxels
    assert trust_in(picture, 0, RANGES).score == 1
    assert "3.12 % of the scan" in trust_in(mask_of((1, (2, 2, 2), (5, 5, 10)), source="png"), 0, RANGES).flags[0]


def test_a_bundle_without_ranges_is_judged_by_its_entropy():
    assert trust_in(mask_of((1, (0, 0, 0), (1, 1, 1))), 0.25, None).score == 0.75


def scores_with(probabilities):
    """Scores (classes, 6, 6, 6) that are sure of the background but in a block of 2, which has these probabilities."""
    scores = torch.full((len(probabilities), 6, 6, 6), -30.0)
    scores[0] = 30.0
    scores[:, 2:4, 2:4, 2:4] = torch.tensor(probabilities).log()[:, None, None, None]
    return scores


def entropy(scores):
    return entropy_of(scores)


def test_entropy_is_that_of_what_was_found_and_its_rim():
    half = entropy(scores_with([0.0, 0.5, 0.5]))
    assert half == pytest.approx(8 / 64 * np.log(2) / np.log(3), rel=1e-5)  # the other 56 of 4 x 4 x 4 are sure
    assert entropy(scores_with([0.0, 1.0, 0.0])) == pytest.approx(0, abs=1e-6)
    assert entropy(scores_with([1.0, 0.0, 0.0])) is None


def test_entropy_is_the_same_in_slabs_and_at_once(monkeypatch):
    scores = torch.randn(3, 9, 7, 5, generator=torch.Generator().manual_seed(0))
    at_once = entropy(scores)
    monkeypatch.setattr("skipseg.models.inference.certainty.SLAB_VALUES", 2 * 3 * 7 * 5)
    assert entropy(scores) == pytest.approx(at_once, rel=1e-6)


def test_entropy_of_flat_scans_and_at_the_edge_of_a_scan():
    flat = torch.zeros(2, 5, 5, 1)
    flat[0] = 40.0
    flat[:, 0, 0, 0] = torch.tensor([0.0, 0.1])
    assert 0.2 < entropy(flat) < 0.25  # one voxel in doubt and three sure ones
