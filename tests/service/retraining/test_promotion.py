"""When a candidate may become live without anybody looking."""

from skipseg.models.labels import Labels
from skipseg.service.retraining.order import TrainOrder
from skipseg.service.retraining.outcome import Judgement
from skipseg.service.retraining.promotion import reasons_against
from skipseg.training.judging.paired import Differences, difference

LABELS = Labels.from_names({1: "rod", 2: "cone"})
ORDER = TrainOrder(dataset="rods", name="rods", minutes=1, promotion="auto", margin=0.01)
BEFORE = [0.80, 0.82, 0.84, 0.86, 0.88, 0.90]


def differences(gains: list[float]) -> Differences:
    one = difference(BEFORE[: len(gains)], [a + gain for a, gain in zip(BEFORE, gains, strict=False)], smaller=False)
    return Differences(dice=one, hd95_mm=one, nsd_1mm=one, iou=one)


def against(rod: list[float], cone: list[float], labels: Labels = LABELS, **changes: int) -> tuple[str, ...]:
    mean = [(a + b) / 2 for a, b in zip(rod, cone, strict=True)]
    found = {"rod": differences(rod), "cone": differences(cone)}
    fields = {"a": "rods@1", "b": "candidate", "cases": len(rod), "learned": 0, "failed": 0, **changes}
    judgement = Judgement(mean=differences(mean), labels=found, **fields)
    return reasons_against(ORDER, judgement, LABELS, labels)


def test_nothing_speaks_against_one_that_is_better_in_every_label() -> None:
    assert against([0.02] * 6, [0.01, 0.02, 0.01, 0.02, 0.01, 0.02]) == ()


def test_a_label_may_lose_less_than_the_margin_and_no_more() -> None:
    assert against([0.05] * 6, [-0.005] * 6) == ()
    assert "cone" in against([0.05] * 6, [-0.015] * 6)[0]


def test_a_loss_that_cannot_be_ruled_out_counts_as_one() -> None:
    """The mean of the differences is above 0, its interval reaches far below."""
    assert "cone: it may have lost" in against([0.05] * 6, [0.09, -0.08, 0.09, -0.08, 0.09, -0.08])[0]


def test_a_mean_that_is_not_better_is_no_reason_to_change() -> None:
    assert against([0.0] * 6, [0.0] * 6) == ("its mean Dice is not better: 0.8500, the live version's 0.8500",)


def test_one_case_has_no_interval_and_vouches_for_nothing() -> None:
    assert against([0.1], [0.1]) == (
        "rod: 1 cases are too few for an interval",
        "cone: 1 cases are too few for an interval",
    )


def test_cases_that_were_learned_from_or_failed_and_labels_that_are_lost_speak_against_it() -> None:
    good = [0.02] * 6
    assert "learned from" in against(good, good, learned=1)[0]
    assert "could not be segmented" in against(good, good, failed=2)[0]
    assert "cone" in against(good, good, Labels.from_names({1: "Rod"}))[0]
