"""What is said of all cases together: intervals, volumes, trust, confusion."""

import json
from pathlib import Path

import numpy as np
import pytest

from skipseg.models.labels import Labels
from skipseg.models.trust import Trust
from skipseg.training.judging.metrics import CaseScore, LabelScore
from skipseg.training.judging.summary import Counts, Metrics, auroc, summarise

ROD = Labels.from_names({1: "rod"})


def case(name, dice, truth=100.0, mask=100.0, trust=None):
    volumes = {"truth_mm3": truth, "mask_mm3": mask}
    if truth:
        volumes["volume_error_percent"] = 100 * (mask - truth) / truth
    score = LabelScore(dice=dice, iou=None if dice is None else dice / (2 - dice), **volumes)
    said = None if trust is None else Trust(score=trust, certainty=trust)
    return CaseScore(case=name, labels={"rod": score}, trust=said)


def summary(*cases, **options):
    return summarise("bundle", "dataset", ROD, cases, **options)


def test_every_mean_has_an_interval_that_holds_it():
    cases = [case(str(n), dice) for n, dice in enumerate(np.random.default_rng(0).uniform(0.6, 0.9, 20))]
    metrics = summary(*cases)
    for found, off in (
        (metrics.mean, metrics.intervals.mean),
        (metrics.labels["rod"], metrics.intervals.labels["rod"]),
    ):
        assert off.dice[0] < found.dice < off.dice[1]
        assert off.iou[0] < found.iou < off.iou[1]
        assert off.hd95_mm is None
    assert metrics.intervals.drawn_by == "case"


def test_groups_widen_the_interval():
    cases = [case(f"{subject} {n}", 0.5 + subject / 20) for subject in range(8) for n in range(5)]
    alone = summary(*cases)
    together = summary(*cases, groups={one.case: one.case.split()[0] for one in cases})
    assert together.intervals.drawn_by == "group"
    low, high = zip(alone.intervals.mean.dice, together.intervals.mean.dice, strict=True)
    assert low[1] < low[0] < high[0] < high[1]


def test_a_label_of_a_single_case_or_group_has_no_interval_which_would_look_certain():
    cases = [case("a 1", 0.5), case("a 2", 0.7), case("b", None, 0, 0), case("c", None, 0, 0)]
    low, high = summary(*cases).intervals.labels["rod"].dice
    assert low < high
    for some, groups in ((cases[1:], None), (cases, {"a 1": "a", "a 2": "a"})):
        off = summary(*some, groups=groups).intervals
        assert off.labels["rod"].dice is None
        assert off.mean.dice is None


def test_volumes_are_compared_by_bias_limits_and_correlation():
    found = summary(case("a", 1, 100, 110), case("b", 1, 200, 190), case("c", 1, 300, 330), case("d", None, 0, 0))
    volume = found.volumes["rod"]
    assert volume.cases == 3
    assert volume.bias_mm3 == pytest.approx(10)
    assert volume.limits_mm3 == pytest.approx((10 - 1.96 * 20, 10 + 1.96 * 20))
    assert volume.error_percent == pytest.approx((10 + 5 + 10) / 3)
    assert volume.correlation == pytest.approx(np.corrcoef([100, 200, 300], [110, 190, 330])[0, 1])


def test_equal_volumes_have_no_correlation_and_an_empty_truth_no_percentage():
    volume = summary(case("a", 1), case("b", 1), case("c", 0, 0, 50)).volumes["rod"]
    assert volume.error_percent == 0
    assert summary(case("a", 1), case("b", 1), case("c", 1)).volumes["rod"].correlation is None


def test_auroc_is_the_chance_to_rank_a_pair_rightly():
    assert auroc([0.9, 0.8, 0.3], [True, True, False]) == 1
    assert auroc([0.9, 0.2, 0.3], [True, True, False]) == 0.5
    assert auroc([0.5, 0.5], [True, False]) == 0.5
    assert auroc([0.9, 0.8], [True, True]) is None


def test_trust_is_held_against_dice():
    cases = [case("good", 0.9, trust=0.8), case("fair", 0.85, trust=0.6), case("poor", 0.5, trust=0.7)]
    found = summary(*cases).trust
    assert (found.auroc, found.poor, found.cases, found.threshold) == (0.5, 1, 3, 0.8)
    assert summary(*cases[:2]).trust.auroc is None
    assert summary(case("a", 0.9)).trust is None


def test_a_confusion_says_where_each_labels_voxels_went():
    counts = Counts(np.array([[90, 10, 0], [5, 15, 0]])) + Counts() + Counts(np.array([[0, 0, 0], [0, 10, 10]]))
    confusion = summary(case("a", 1), counts=counts).confusion
    assert confusion.rows == ("background", "rod")
    assert confusion.columns == ("background", "rod", "other")
    assert confusion.shares == ((0.9, 0.1, 0.0), (0.125, 0.625, 0.25))


def test_the_metrics_of_the_last_version_are_still_read():
    written = Path(__file__).parents[3] / "models/shipped/hippocampus/evaluation/metrics.json"
    text = json.loads(written.read_text())
    known = {"bundle", "dataset", "mean", "labels", "cases", "failed"}
    old = {name: part for name, part in text.items() if name in known}
    assert Metrics.model_validate(old).mean.dice == text["mean"]["dice"]
