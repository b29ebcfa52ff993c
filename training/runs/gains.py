"""What a retraining gained and lost: base and new model on cases that neither learned from."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from skipseg.models.inference.predictor import Predictor
from skipseg.models.labels import Labels
from skipseg.models.scans.volume import Mask, Volume
from skipseg.training.datasets.dataset import Case, Dataset, image_checksum
from skipseg.training.datasets.split import Split
from skipseg.training.fitting.inherit import classes_in
from skipseg.training.judging.paired import difference
from skipseg.training.judging.summary import Metrics
from skipseg.training.runs.evaluate import score
from skipseg.training.runs.progress import Display
from skipseg.training.runs.retrain import SCORES, Retraining, kept_out
from skipseg.training.runs.setup import Setup

Kind = Literal["old", "new"]  # kept out by the base too, or new to it and kept out now
Dice = dict[str, dict[str, float | None]]  # per case and label
JUDGED_SHARE = 0.1  # of the time may go into scoring the base
ORDER_SEED = 20210201


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Gain(_Frozen):
    """Dice of one label, or the mean over labels, before and after; None where a model does not know the label.

    ``difference`` is the mean of the cases' differences, ``low`` to ``high`` its 95 % bootstrap interval over cases.
    """

    label: str
    cases: int
    before: float | None
    after: float | None
    difference: float | None = None
    low: float | None = None
    high: float | None = None


class Judged(_Frozen):
    """One set of cases."""

    kind: Kind
    dataset: str
    cases: tuple[str, ...]
    mean: Gain
    labels: tuple[Gain, ...]


class Gains(_Frozen):
    """What ``evaluation/gains.json`` holds."""

    base: str
    base_weights_sha256: str
    judged: tuple[Judged, ...]


@dataclass(frozen=True)
class Group:
    """Cases of one dataset that neither the base nor the new model learned from."""

    kind: Kind
    dataset: Dataset
    cases: tuple[Case, ...]


class Before(_Frozen):
    """The base's scores, one entry a group; kept on disk for a run that is resumed."""

    scores: tuple[Dice, ...] = ()
    seconds: float = 0.0  # that those took which the evaluation of the new model does not score anyway

    def reserve(self) -> float:
        """Seconds that scoring the new model will take, beside its evaluation."""
        return 1.2 * self.seconds


def groups_of(retraining: Retraining, dataset: Dataset, split: Split) -> tuple[Group, ...]:
    """The cases on which both models may be judged; an image counts once."""
    record = retraining.base.manifest.training
    taken = {image_checksum(case) for case in split.training} | record.learned
    old = {case.name for case in kept_out(dataset, record)}
    asked: list[tuple[Kind, Dataset, Sequence[Case]]] = [
        *(("old", one.dataset, one.kept_out) for one in retraining.replays),
        ("old", dataset, [case for case in split.validation if case.name in old]),
        ("new", dataset, [case for case in split.validation if case.name not in old]),
    ]
    groups = []
    for kind, of, cases in asked:
        chosen = []
        for case in cases:
            digest = image_checksum(case)
            chosen += [case] if digest not in taken else []
            taken.add(digest)
        if chosen:
            groups.append(Group(kind, of, tuple(chosen)))
    return tuple(groups)


def judge_base(
    going_on: Retraining,
    dataset: Dataset,
    split: Split,
    device: torch.device,
    setup: Setup,
    work: Path,
    display: Display,
) -> Before:
    """Score the base before anything is learned on, so that it is known how long the same will take afterwards.

    With a budget in minutes a tenth of it may go there, and cases are left out for which that is not enough (two of
    each group are always scored). Scores are kept in ``work`` and not measured again when a run is resumed.
    """
    kept = work / SCORES
    if kept.is_file():
        try:
            return Before.model_validate_json(kept.read_text(encoding="utf-8"))
        except ValidationError:
            kept.unlink()
    groups = groups_of(going_on, dataset, split)
    total = sum(len(group.cases) for group in groups)
    if not total:
        display.say("no case is left that the base and the new model can be compared on")
    most = JUDGED_SHARE * 60 * setup.minutes if setup.minutes else float("inf")
    started, scores, seconds = time.monotonic(), list[Dice](), 0.0
    predictor = Predictor(going_on.base, str(device), setup.precision)
    with display.counting("judging the base on", total) as done:
        for number, group in enumerate(groups, start=1):
            found: Dice = {}
            began = time.monotonic()
            for case in _shuffled(group.cases):
                if len(found) < 2 or time.monotonic() - started < most * number / len(groups):
                    found |= dice_of(predictor.segment, going_on.base.labels, group.dataset, [case])
                done()
            scores.append(found)
            seconds += 0.0 if group.dataset is dataset else time.monotonic() - began
    before = Before(scores=tuple(scores), seconds=seconds)
    kept.write_text(before.model_dump_json(), encoding="utf-8")
    return before


def judge(
    going_on: Retraining, before: Before, dataset: Dataset, split: Split, new: Predictor, evaluated: Path
) -> Gains:
    """Score the new model on the cases that the base was scored on, and compare.

    The cases of its own dataset were scored already: ``evaluated`` is the folder of that evaluation.
    """
    judged, record = [], going_on.record
    for group, old in zip(groups_of(going_on, dataset, split), before.scores, strict=True):
        cases = [case for case in group.cases if case.name in old]
        own = group.dataset is dataset
        now = _scored(evaluated) if own else dice_of(new.segment, going_on.labels, group.dataset, cases)
        judged.append(compared(group.kind, group.dataset, old, now))
    name = record.name if record.version is None else f"{record.name}@{record.version}"
    return Gains(base=name, base_weights_sha256=record.weights_sha256, judged=tuple(judged))


def dice_of(segment: Callable[[Volume], Mask], known: Labels, dataset: Dataset, cases: Sequence[Case]) -> Dice:
    """Dice per case and label of the dataset; None for labels that ``known`` does not hold, or that are in neither."""
    absent = {
        label.name
        for label, place in zip(dataset.labels.all, classes_in(dataset.labels, known), strict=True)
        if place is None
    }
    metrics = score(lambda volume: renamed(segment(volume), dataset.labels), "", dataset, cases)
    return {
        case.case: {name: None if name in absent else one.dice for name, one in case.labels.items()}
        for case in metrics.cases
    }


def _scored(evaluated: Path) -> Dice:
    metrics = Metrics.model_validate_json((evaluated / "metrics.json").read_text(encoding="utf-8"))
    return {case.case: {name: one.dice for name, one in case.labels.items()} for case in metrics.cases}


def renamed(mask: Mask, labels: Labels) -> Mask:
    """A mask in the values that ``labels`` have for what it shows; what they do not name is background."""
    values = np.zeros(max(mask.labels.values) + 1, dtype=np.uint16)
    for label, place in zip(mask.labels.all, classes_in(mask.labels, labels), strict=True):
        values[label.value] = 0 if place is None else labels.all[place].value
    kind = np.uint8 if values.max() < 256 else np.uint16
    return Mask(values.astype(kind)[mask.voxels], mask.geometry, mask.source, labels)


def compared(kind: Kind, dataset: Dataset, before: Dice, after: Dice) -> Judged:
    """Paired differences over the cases both have, per label and of the mean over labels both know."""
    cases = [name for name in before if name in after]
    labels = [label.name for label in dataset.labels.foreground]
    rows = {label: [(before[case].get(label), after[case].get(label)) for case in cases] for label in labels}
    subjects = [dataset.groups.get(case, case) for case in cases]
    means = [_mean_of_shared(before[case], after[case]) for case in cases]
    return Judged(
        kind=kind,
        dataset=dataset.name,
        cases=tuple(cases),
        mean=_gain("mean", means, subjects),
        labels=tuple(_gain(label, pairs, subjects) for label, pairs in rows.items()),
    )


def _gain(label: str, pairs: Sequence[tuple[float | None, float | None]], subjects: Sequence[str]) -> Gain:
    before, after = [one for one, _ in pairs], [other for _, other in pairs]
    paired = difference(before, after, smaller=False, subjects=subjects)
    low, high = paired.interval or (None, None)
    return Gain(
        label=label,
        cases=paired.cases or sum(one is not None or other is not None for one, other in pairs),
        before=_mean(before),
        after=_mean(after),
        difference=paired.difference,
        low=low,
        high=high,
    )


def _mean_of_shared(
    before: Mapping[str, float | None], after: Mapping[str, float | None]
) -> tuple[float | None, float | None]:
    shared = [name for name in before if before[name] is not None and after.get(name) is not None]
    return _mean([before[name] for name in shared]), _mean([after[name] for name in shared])


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def _shuffled(cases: Sequence[Case]) -> list[Case]:
    """In an order that has nothing to do with names, since time may end the list early."""
    return [cases[place] for place in np.random.default_rng(ORDER_SEED).permutation(len(cases))]
