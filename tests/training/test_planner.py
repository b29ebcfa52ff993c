"""The planner: sensible for data it was not written for, and explained."""

import math

import pytest
import torch

from skipseg.models.errors import PlanError
from skipseg.models.networks.recipes import build
from skipseg.training.fingerprint import ChannelIntensities, Fingerprint, LabelSize, Spread
from skipseg.training.planner import explain, make_plan

CPU, GPU = torch.device("cpu"), torch.device("cuda")
MEMORY = 16 * 2**30


def same(number):
    return Spread(minimum=number, median=number, maximum=number)


def fingerprint(
    shape, spacing=(1, 1, 1), channels=("MR",), labels=("a",), dimensions=3, given=True, content=1.0, cases=100
):
    return Fingerprint(
        dataset="made up",
        cases=cases,
        dimensions=dimensions,
        orientation="RAS",
        orientations=1,
        shape=tuple(map(same, shape)),
        spacing=tuple(map(same, spacing)),
        spacing_given=given,
        anisotropy=max(spacing) / min(spacing),
        content=same(content),
        channels=tuple(
            ChannelIntensities(
                name=name, is_ct=name == "CT", percentile_00_5=-900, median=0, percentile_99_5=1100, mean=40, std=200,
                case_mean=same(40), case_std=same(200),
            )
            for name in channels
        ),
        labels=tuple(
            LabelSize(value=value, name=name, cases=cases, share=0.1, volume_mm3=same(100))
            for value, name in enumerate(labels, start=1)
        ),
    )  # fmt: skip


KINDS = {
    "small MR": fingerprint((36, 50, 35)),
    "CT": fingerprint((512, 512, 300), (0.8, 0.8, 1.5), ("CT",), ("liver", "tumour")),
    "thick slices": fingerprint((320, 320, 20), (0.6, 0.6, 5), labels=("a", "b", "c", "d")),
    "few thick slices": fingerprint((256, 256, 9), (1.25, 1.25, 10)),
    "long": fingerprint((40, 40, 900), (1, 1, 1)),
    "tiny": fingerprint((12, 10, 8)),
    "no spacing": fingerprint((120, 130, 90), given=False),
    "colour pictures": fingerprint((700, 600, 1), channels=("R", "G", "B"), dimensions=2, given=False),
    "small pictures": fingerprint((64, 48, 1), dimensions=2, given=False),
    "mostly empty": fingerprint((240, 240, 155), channels=("FLAIR", "T1c"), content=0.3, cases=6),
}


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


def test_scans_too_small_for_a_u_net_are_refused():
    with pytest.raises(PlanError, match="too small"):
        make_plan(fingerprint((5, 6, 4)), CPU, MEMORY)
