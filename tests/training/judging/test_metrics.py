"""Agreement of masks with truth: known shapes, MONAI's numbers, and what happens when a label is missing."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.metrics import compute_surface_dice
from monai.metrics.utils import get_edge_surface_distance

from skipseg.models.labels import Labels
from skipseg.training.judging.metrics import Agreement, CaseScore, LabelScore, mean_of, score, score_labels
from skipseg.training.judging.summary import Failure, Metrics, summarise


def block(shape, *sides):
    mask = np.zeros(shape, bool)
    mask[tuple(slice(*side) for side in sides)] = True
    return mask


CUBE = block((20, 20, 20), (5, 11), (5, 11), (5, 11))


def test_equal_masks_agree_perfectly():
    same = {"truth_mm3": 432, "mask_mm3": 432, "volume_error_mm3": 0, "volume_error_percent": 0}
    assert score(CUBE, CUBE, (1, 1, 2)) == LabelScore(dice=1, iou=1, hd95_mm=0, nsd_1mm=1, **same)


def test_a_shift_of_one_voxel_gives_known_numbers():
    one = score(np.roll(CUBE, 1, axis=2), CUBE, (1, 1, 3))
    assert one.dice == pytest.approx(5 / 6)
    assert one.hd95_mm == 3
    assert one.nsd_1mm < 1


def test_a_neighbour_at_one_millimetre_is_within_it_despite_float32_affines():
    assert score(np.roll(CUBE, 1, axis=0), CUBE, (1.0000001, 1, 1)).nsd_1mm == 1


def test_a_label_absent_from_both_has_no_numbers():
    nothing = np.zeros_like(CUBE)
    assert score(nothing, nothing, (1, 1, 1)) == LabelScore(truth_mm3=0, mask_mm3=0)


@pytest.mark.parametrize("swapped", [False, True])
def test_a_label_absent_from_one_alone_has_dice_zero_and_no_distance(swapped):
    pair = (np.zeros_like(CUBE), CUBE)
    one = score(*(reversed(pair) if swapped else pair), (1, 1, 1))
    assert (one.dice, one.nsd_1mm, one.hd95_mm) == (0, 0, None)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_single_slice_is_measured_as_a_plane(axis):
    plane = block((30, 30), (5, 25), (5, 25))
    moved = np.roll(plane, 4, axis=0)
    one = score(np.expand_dims(moved, axis), np.expand_dims(plane, axis), (1, 1, 1))
    assert one.hd95_mm == 4
    assert one.nsd_1mm == pytest.approx(monai_numbers(moved, plane, (1, 1))[1])


def test_a_scan_of_one_voxel_is_measured_too():
    voxel = np.ones((1, 1, 1), bool)
    assert score(voxel, voxel, (1, 1, 1)).dice == 1


def monai_numbers(mask, truth, spacing):
    pair = [torch.from_numpy(side)[None, None] for side in (mask, truth)]
    _, distances, _ = get_edge_surface_distance(*(side[0, 0].float() for side in pair), spacing=spacing, symmetric=True)
    nsd = compute_surface_dice(*pair, class_thresholds=[1.0], include_background=True, spacing=spacing)
    # MONAI's distances, but the percentile in double precision: in single it is off by more than 1e-5
    return max(np.percentile(way.double().numpy(), 95) for way in distances), nsd.item()


@pytest.mark.filterwarnings("ignore::FutureWarning")
@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(*[st.integers(4, 14)] * 3),
    spacing=st.tuples(*[st.sampled_from([0.4, 0.7, 1.0, 2.5, 5.0])] * 3),
)
def test_distances_and_surface_dice_agree_with_monai(seed, shape, spacing):
    random = np.random.default_rng(seed)
    mask, truth = (random.random(shape) < random.uniform(0.05, 0.9) for _ in range(2))
    mask.flat[random.integers(mask.size)] = truth.flat[random.integers(truth.size)] = True
    hd95, nsd = monai_numbers(mask, truth, spacing)
    one = score(mask, truth, spacing)
    assert one.hd95_mm == pytest.approx(hd95, rel=1e-5)
    assert one.nsd_1mm == pytest.approx(nsd, abs=1e-6)
    assert one.dice == pytest.approx(2 * (mask & truth).sum() / (mask.sum() + truth.sum()))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), pad=st.integers(1, 5))
def test_numbers_depend_neither_on_order_nor_on_empty_surroundings(seed, pad):
    random = np.random.default_rng(seed)
    mask, truth = (np.pad(random.random((6, 7, 5)) < 0.5, 1) for _ in range(2))
    one, other = score(mask, truth, (1, 2, 3)), score(np.pad(truth, pad), np.pad(mask, pad), (1, 2, 3))
    assert (one.dice, one.hd95_mm, one.nsd_1mm) == pytest.approx((other.dice, other.hd95_mm, other.nsd_1mm))
    assert (one.truth_mm3, one.mask_mm3) == (other.mask_mm3, other.truth_mm3)


def test_labels_are_scored_by_their_values():
    labels = Labels.from_names({1: "rod", 5: "cone"})
    truth = np.zeros((8, 8, 8), np.uint16)
    truth[2:4], truth[5:7] = 1, 5
    mask = np.where(truth == 5, 0, truth)
    scores = score_labels(mask, truth, labels, (1, 1, 1))
    assert (scores["rod"].dice, scores["cone"].dice) == (1, 0)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), shape=st.tuples(*[st.integers(1, 9)] * 3))
def test_cutting_a_label_out_changes_no_number(seed, shape):
    random = np.random.default_rng(seed)
    mask, truth = (random.choice([0, 0, 0, 1, 300], shape).astype(np.uint16) for _ in range(2))
    labels = Labels.from_names({1: "rod", 300: "cone", 7: "pupil"})
    scores = score_labels(mask, truth, labels, (1, 2, 3))
    assert scores == {
        label.name: score(mask == label.value, truth == label.value, (1, 2, 3)) for label in labels.foreground
    }


def test_means_leave_out_what_is_not_defined():
    numbers = [Agreement(dice=1, hd95_mm=2, nsd_1mm=1), Agreement(dice=0, nsd_1mm=0), Agreement()]
    assert mean_of(numbers) == Agreement(dice=0.5, hd95_mm=2, nsd_1mm=0.5)
    assert mean_of([Agreement()]) == Agreement()
    assert mean_of([]) == Agreement()


def test_the_mean_is_over_labels_each_over_its_cases():
    labels = Labels.from_names({1: "rod", 2: "cone"})

    def case(name, rod, cone):
        found = {"rod": rod, "cone": cone}
        return CaseScore(
            case=name, labels={label: LabelScore(dice=dice, truth_mm3=0, mask_mm3=0) for label, dice in found.items()}
        )

    metrics = summarise(
        "b", "d", labels, [case("x", 1.0, None), case("y", 0.5, 0.25)], [Failure(case="z", error="torn")]
    )
    assert metrics.labels["rod"].dice == 0.75
    assert metrics.labels["cone"].dice == 0.25
    assert metrics.mean.dice == 0.5
    assert metrics.cases[0].mean.dice == 1
    assert Metrics.model_validate_json(metrics.model_dump_json()) == metrics


def test_a_far_false_positive_costs_no_memory_but_distance():
    truth = block((400, 400, 60), (5, 15), (5, 15), (5, 15))
    mask = truth | block(truth.shape, (390, 396), (390, 396), (50, 56))
    one = score(mask, truth, (1, 1, 1))
    assert one.hd95_mm > math.dist((15, 15, 15), (390, 390, 50)) - 1
    assert one.dice == pytest.approx(2000 / 2216)
