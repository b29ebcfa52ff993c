"""Whether a candidate may become live without anybody looking: only where nothing speaks against it."""

from __future__ import annotations

from collections.abc import Iterator

from skipseg.models.labels import Labels
from skipseg.service.retraining.order import TrainOrder
from skipseg.service.retraining.outcome import Judgement
from skipseg.training.judging.paired import Difference


def reasons_against(order: TrainOrder, judgement: Judgement, live: Labels, candidate: Labels) -> tuple[str, ...]:
    """What speaks against a candidate on the cases that both were judged on.

    Its mean Dice must be higher than that of the live version, and of no label may the lower end of the 95 % interval
    of the differences lie below minus the margin: what cannot be told from such a loss counts as one.
    """
    found = [*_of_labels(live, candidate), *_of_cases(judgement), *_of_mean(judgement.mean.dice)]
    for name, differences in judgement.labels.items():
        found += _of_label(name, differences.dice, order.margin)
    return tuple(found)


def _of_labels(live: Labels, candidate: Labels) -> Iterator[str]:
    names = {label.name.casefold() for label in candidate.foreground}
    if lost := [label.name for label in live.foreground if label.name.casefold() not in names]:
        yield f"the live version knows labels that the candidate does not: {', '.join(lost)}"


def _of_cases(judgement: Judgement) -> Iterator[str]:
    if judgement.learned:
        yield f"{judgement.learned} of the {judgement.cases} cases are ones that either learned from"
    if judgement.failed:
        yield f"{judgement.failed} cases could not be segmented by either"


def _of_mean(mean: Difference) -> Iterator[str]:
    if mean.difference is None:
        yield "no case has a Dice under both versions"
    elif mean.difference <= 0:
        yield f"its mean Dice is not better: {mean.b:.4f}, the live version's {mean.a:.4f}"


def _of_label(name: str, dice: Difference, margin: float) -> Iterator[str]:
    if dice.interval is None:
        yield f"{name}: {dice.cases} cases are too few for an interval"
    elif dice.interval[0] < -margin:
        yield (
            f"{name}: it may have lost more than the margin of {margin:g}: {dice.difference:+.4f} "
            f"({dice.interval[0]:+.4f} to {dice.interval[1]:+.4f})"
        )
