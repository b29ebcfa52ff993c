"""Choices that a person makes in a file: taken as they are, and refused with the field's name when they cannot be."""

import json

import pytest
import torch
from fingerprints import KINDS, fingerprint

from skipseg.models.errors import SkipsegError, UsageError
from skipseg.models.plan import CleanUp
from skipseg.training.planning.choices import choices_of
from skipseg.training.planning.overrides import Overrides, read_overrides
from skipseg.training.planning.planner import Circumstances, explain, make_plan
from skipseg.training.runs.keep_plan import keep_plan

CPU, GPU = torch.device("cpu"), torch.device("cuda")
MEMORY = 16 * 2**30
SMALL, PICTURES, CT = KINDS["small MR"], KINDS["colour pictures"], KINDS["CT"]


def planned(given, data=SMALL, minutes=None):
    about = Circumstances(minutes=minutes, given=Overrides.model_validate(given))
    return make_plan(data, CPU, MEMORY, circumstances=about)


@pytest.fixture
def wrong(tmp_path):
    """What a file's content is refused with, when read or when planned with."""

    def told(content, data=SMALL, suffix=".json"):
        path = tmp_path / f"plan{suffix}"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        with pytest.raises(SkipsegError) as caught:
            make_plan(data, CPU, MEMORY, circumstances=Circumstances(given=read_overrides(path)))
        return str(caught.value)

    return told


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"patch": [32, 48, 32]}, lambda t: t.plan.tile == (32, 48, 32)),
        ({"batch": 3}, lambda t: t.batch == 3),
        ({"spacing": [2, 2, 2]}, lambda t: t.plan.spacing == (2, 2, 2) and t.plan.tile == (20, 28, 20)),
        ({"spacing": "as stored"}, lambda t: t.plan.spacing is None and t.voxel == (1, 1, 1)),
        ({"orientation": "lps"}, lambda t: t.plan.orientation == "LPS"),
        ({"orientation": "as stored"}, lambda t: t.plan.orientation is None),
        ({"widths": [8, 16]}, lambda t: t.plan.network.widths == (8, 16) and len(t.plan.network.strides) == 2),
        (
            {"strides": [[2, 2, 2], [2, 2, 2]], "blocks": [1, 2]},
            lambda t: t.plan.network.strides == ((2, 2, 2), (2, 2, 2)) and t.plan.network.blocks == (1, 2),
        ),
        ({"kernels": [[3, 3, 1]] * 4}, lambda t: t.plan.network.kernels[3] == (3, 3, 1)),
        ({"residual": False, "deep_supervision": False}, lambda t: not t.plan.network.residual),
        ({"crop_to_content": True, "overlap": 0.5}, lambda t: t.plan.crop_to_content and t.plan.overlap == 0.5),
        ({"flips": [True, False, True]}, lambda t: t.flips == (True, False, True) and t.plan.mirrored_axes == (0, 2)),
        (
            {"cleanup": {"a": {"keep_largest": True, "fill_holes_mm3": 20}}},
            lambda t: t.plan.cleanup == {"a": CleanUp(keep_largest=True, fill_holes_mm3=20)},
        ),
        ({"learning_rate": 1e-3, "whole_batch_dice": True}, lambda t: t.learning_rate == 1e-3 and t.whole_batch_dice),
        ({"series": {"MR": {"modality": "MR"}}}, lambda t: t.plan.channels[0].modality == "MR"),
        ({"normalisation": {"MR": "robust"}}, lambda t: t.plan.channels[0].clip_percent == (0.5, 99.5)),
        (
            {"normalisation": {"MR": {"method": "fixed", "low": 0, "high": 9}}},
            lambda t: (t.plan.channels[0].low, t.plan.channels[0].high, t.plan.channels[0].mean) == (0, 9, 40),
        ),
        ({"dimensions": 2}, lambda t: t.plan.dimensions == 2 and len(t.plan.tile) == 2),
    ],
    ids=lambda entry: ",".join(entry) if isinstance(entry, dict) else "",
)
def test_each_field_is_taken_and_the_rest_is_planned(given, found):
    training = planned(given)
    assert found(training)
    assert "as asked for" in explain(training)


def test_a_2d_network_for_volumes_is_expected_to_segment_every_slice():
    about = Circumstances(minutes=600, kept_out=5, given=Overrides(dimensions=2))
    few, all_ = (
        make_plan(fingerprint((200, 200, slices)), CPU, MEMORY, circumstances=about).expected.evaluating_seconds
        for slices in (10, 100)
    )
    assert all_ > 3 * few


def test_choices_hold_whatever_the_time():
    for minutes in (3, 600):
        training = planned({"patch": [32, 48, 32], "widths": [8, 16, 32]}, minutes=minutes)
        assert (training.plan.tile, training.plan.network.widths) == ((32, 48, 32), (8, 16, 32))


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_a_plan_written_out_and_given_back_is_the_same_plan(kind, tmp_path):
    first = make_plan(kind, CPU, MEMORY, circumstances=Circumstances(minutes=7))
    (tmp_path / "plan.json").write_text(choices_of(first))
    given = read_overrides(tmp_path / "plan.json")
    again = make_plan(kind, CPU, MEMORY, circumstances=Circumstances(minutes=7, given=given))
    assert (again.plan, again.batch, again.flips) == (first.plan, first.batch, first.flips)


def test_toml_is_read_too(tmp_path):
    (tmp_path / "plan.toml").write_text('batch = 5\n[normalisation]\n"MR" = "robust"\n')
    given = read_overrides(tmp_path / "plan.toml")
    assert given == Overrides(batch=5, normalisation={"MR": "robust"})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"batches": 4}, ["'batches'", "batch, "]),
        ({"batch": 0}, ["batch", "greater than or equal to 1", "got 0"]),
        ({"overlap": 1.5}, ["overlap", "less than 0.95"]),
        ({"patch": [32, 32]}, ["patch", "3 entries", "got 2"]),
        ({"patch": [30, 48, 32]}, ["patch [30, 48, 32]", "multiple", "[32, 48, 32]"]),
        ({"flips": [True]}, ["flips", "3 entries"]),
        ({"spacing": "coarse"}, ["spacing"]),
        ({"spacing": [1, 1]}, ["spacing", "3 entries"]),
        ({"orientation": "RAX"}, ["orientation", "R/L, A/P and S/I"]),
        ({"widths": [8, 16, 16], "blocks": [1, 1]}, ["one entry a resolution", "widths has 3", "blocks has 2"]),
        ({"widths": [8] * 9}, ["widths has 9", "resolutions"]),
        ({"strides": [[1, 1], [2, 2]]}, ["strides", "3 numbers"]),
        ({"kernels": [[2, 3, 3]] * 4}, ["kernels", "odd"]),
        ({"normalisation": {"T7": "zscore"}}, ["normalisation", "'T7'", "MR"]),
        ({"series": {"T7": {"modality": "MR"}}}, ["series", "'T7'", "MR"]),
        ({"series": {"MR": {"modality": "mr scan"}}}, ["series[MR]"]),
        ({"normalisation": {"MR": "histogram"}}, ["normalisation", "zscore"]),
        ({"normalisation": {"MR": {"method": "zscore", "low": 2}}}, ["normalisation[MR]", "belong to"]),
        ({"normalisation": {"MR": {"method": "fixed", "low": 9, "high": 0}}}, ["channel MR", "low", "9 and 0"]),
        ('{"normalisation": {"MR": {"method": "fixed", "high": Infinity}}}', ["normalisation[MR][high]", "finite"]),
        ({"cleanup": {"liver": {"keep_largest": True}}}, ["cleanup", "'liver'", "there are a"]),
        ({"cleanup": {"a": {"fill_holes_mm3": -1}}}, ["cleanup[a]", "greater than 0"]),
        ({"cleanup": {"a": {}}}, ["cleanup[a]", "keep_largest or fill_holes_mm3"]),
        ({"patch": [640, 640, 640]}, ["patch", "GiB"]),
        ("{", ["JSON"]),
        ("[1]", ["named fields"]),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_with_the_name_of_the_field(content, words, wrong):
    told = wrong(content)
    assert all(word in told for word in words), told


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "plan.yaml").write_text("batch: 4")
    with pytest.raises(UsageError, match=r"\.json or \.toml"):
        read_overrides(tmp_path / "plan.yaml")


def test_a_retrained_model_leaves_batch_and_pace_open_and_nothing_of_the_network():
    base = make_plan(SMALL, CPU, MEMORY).plan
    kept = keep_plan(base, SMALL, CPU, MEMORY, given=Overrides(batch=3, learning_rate=1e-4))
    assert (kept.batch, kept.learning_rate, kept.plan) == (3, 1e-4, base)
    turned = keep_plan(base, SMALL, CPU, MEMORY, given=Overrides(flips=(False, True, False)))
    assert turned.plan == base.model_copy(update={"mirrored_axes": (1,)})
    with pytest.raises(UsageError, match="widths is the base's"):
        keep_plan(base, SMALL, CPU, MEMORY, given=Overrides(widths=(4, 8)))


def test_pictures_and_ct_take_choices_of_their_own_dimensions():
    assert planned({"patch": [64, 64], "flips": [False, False]}, PICTURES).plan.tile == (64, 64)
    assert planned({"spacing": [3, 3, 3]}, CT).plan.spacing == (3, 3, 3)
    assert fingerprint((20, 20, 20)).dimensions == 3
