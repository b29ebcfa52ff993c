"""The planner: sensible for data it was not written for, and explained."""

import math

import pytest
import torch
from fingerprints import KINDS, fingerprint

from skipseg.models.errors import PlanError
from skipseg.models.networks.recipes import build
from skipseg.training.planning.planner import explain, make_plan

CPU, GPU = torch.device("cpu"), torch.device("cuda")
MEMORY = 16 * 2**30


@pytest.mark.parametrize("device", [CPU, GPU], ids=str)
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_a_plan_fits_its_data_and_its_network_runs(kind, device):
    training = make_plan(kind, device, MEMORY)
    plan = training.plan
    total = [math.prod(steps) for steps in zip(*plan.network.strides, strict=True)]
    assert all(side % step == 0 for side, step in zip(plan.tile, total, strict=True))
    assert training.memory_bytes < MEMORY
    assert plan.network.classes == len(kind.labels) + 1
    if device == CPU:
        with torch.inference_mode():
            assert build(plan.network).eval()(torch.zeros(1, len(kind.channels), *plan.tile)).shape[2:] == plan.tile
    assert f"batch {training.batch}" in explain(training)


def test_thick_slices_are_not_pooled_before_the_plane_is_as_coarse():
    plan = make_plan(KINDS["thick slices"], GPU, MEMORY).plan
    assert plan.network.strides[1] == (2, 2, 1)
    assert plan.network.kernels[0] == (3, 3, 1)
    assert plan.tile[0] > 4 * plan.tile[2]
    assert any(stride[2] == 2 for stride in plan.network.strides)


def test_ct_is_normalised_alike_everywhere_and_mr_case_by_case():
    assert make_plan(KINDS["CT"], CPU, MEMORY).plan.channels[0].normalisation == "fixed"
    assert make_plan(KINDS["small MR"], CPU, MEMORY).plan.channels[0].normalisation == "zscore"


def test_less_memory_gives_a_smaller_patch_and_none_an_error():
    large, small = (make_plan(KINDS["CT"], GPU, memory) for memory in (32 * 2**30, 2 * 2**30))
    assert math.prod(small.plan.tile) < math.prod(large.plan.tile)
    with pytest.raises(PlanError, match="free memory"):
        make_plan(KINDS["CT"], GPU, 2**20)


def test_sides_are_not_mirrored_where_labels_name_them():
    few = fingerprint((40, 40, 40), labels=("kidney_left", "kidney_right"), cases=6)
    assert make_plan(few, CPU, MEMORY).flips == (False, False, False)
    assert make_plan(fingerprint((40, 40, 40), labels=("bright", "leftover"), cases=6), CPU, MEMORY).flips == (
        True,
        False,
        False,
    )
    assert make_plan(KINDS["colour pictures"], CPU, MEMORY).flips == (True, True)


def test_pictures_keep_their_own_grid_and_empty_borders_are_cropped():
    plan = make_plan(KINDS["colour pictures"], CPU, MEMORY).plan
    assert (plan.orientation, plan.spacing, plan.crop_to_content) == (None, None, False)
    assert make_plan(KINDS["mostly empty"], CPU, MEMORY).plan.crop_to_content


def test_single_slices_of_a_scanner_keep_their_orientation_and_pictures_have_none():
    slices = make_plan(fingerprint((256, 256, 1), (0.8, 0.8, 5), dimensions=2), CPU, MEMORY)
    assert (slices.plan.orientation, slices.plan.spacing, slices.flips) == ("RAS", (0.8, 0.8), (False, False))


def test_more_labels_than_a_network_may_have_are_refused_by_that_name():
    with pytest.raises(PlanError, match=r"these data: classes: .*1024"):
        make_plan(fingerprint((64, 64, 64), labels=[f"label {number}" for number in range(1100)]), CPU, MEMORY)


def test_scans_too_small_for_a_u_net_are_refused():
    with pytest.raises(PlanError, match="too small"):
        make_plan(fingerprint((5, 6, 4)), CPU, MEMORY)
