"""Which cases are kept out of training to measure what was learned; groups of cases stay on one side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skipseg.models.errors import DatasetError, UsageError
from skipseg.training.datasets.dataset import Case, Dataset, named_cases
from skipseg.training.datasets.groups import Unit, check_apart, units

FOLDS = 5
SPLIT_SEED = 20150518  # one split for everybody, whatever the seed of a run


@dataclass(frozen=True)
class Split:
    """Cases to train on and cases kept out."""

    training: tuple[Case, ...]
    validation: tuple[Case, ...]


def split_cases(dataset: Dataset, validation: Path | None = None, fold: int | None = None) -> Split:
    """Split the labelled cases of a dataset.

    ``validation`` names a file with one case a line; ``fold`` 0..4 keeps out a fifth; neither keeps out a tenth, at
    most 12, so that nearly everything is trained on and a figure still comes with the bundle. Cases of one of the
    dataset's groups are never on both sides. Raises ``UsageError`` when both are given or the fold is unknown,
    ``DatasetError`` when a named case is missing, a group would be torn, or no case would be left.
    """
    labelled = [case for case in dataset.cases if case.label is not None]
    if validation is not None and fold is not None:
        raise UsageError("give either --val-cases or --fold, not both")
    if fold is not None and not 0 <= fold < FOLDS:
        raise UsageError(f"--fold is a number from 0 to {FOLDS - 1}; got {fold}")
    kept_out = set(named_cases(dataset, _names(validation)) if validation is not None else _drawn(dataset, fold))
    if fold is not None and not kept_out:
        raise UsageError(f"fold {fold} of {len(labelled)} cases keeps none out; use a smaller number")
    training = tuple(case for case in labelled if case not in kept_out)
    if not training:
        raise DatasetError("no labelled case is left to train on; keep fewer cases out")
    split = Split(training, tuple(case for case in labelled if case in kept_out))
    check_apart(split.training, split.validation, dataset.groups)
    return split


def draw_folds(dataset: Dataset, count: int) -> list[Split]:
    """Every labelled case kept out once, in one of ``count`` parts of about equal size; groups stay together.

    Groups in an order drawn once for all, the larger ones first, go to the part with the fewest cases so far. Raises
    ``UsageError`` when a part would be empty.
    """
    labelled = [case for case in dataset.cases if case.label is not None]
    together = units(labelled, dataset.groups)
    if len(together) < count:
        what = "groups" if len(together) < len(labelled) else "labelled cases"
        raise UsageError(f"{count} folds need at least as many {what}; the dataset has {len(together)}")
    return [_without(labelled, part) for part in _parts(together, count)]


def _without(cases: Sequence[Case], kept_out: Sequence[Case]) -> Split:
    out = set(kept_out)
    return Split(tuple(case for case in cases if case not in out), tuple(case for case in cases if case in out))


def _parts(together: Sequence[Unit], count: int) -> list[list[Case]]:
    parts: list[list[Case]] = [[] for _ in range(count)]
    for unit in sorted(_shuffled(together), key=len, reverse=True):
        min(parts, key=len).extend(unit)
    return parts


def _shuffled(together: Sequence[Unit]) -> list[Unit]:
    return [together[place] for place in np.random.default_rng(SPLIT_SEED).permutation(len(together))]


def _drawn(dataset: Dataset, fold: int | None) -> list[Case]:
    labelled = [case for case in dataset.cases if case.label is not None]
    together = units(labelled, dataset.groups)
    if len(together) < 2:
        return []
    if fold is not None:
        return _parts(together, FOLDS)[fold]
    return _few(_shuffled(together), min(max(round(len(labelled) / 10), 1), 12))


def _few(together: Sequence[Unit], wanted: int) -> list[Case]:
    """Whole units as they come, as long as no more than ``wanted`` cases are taken; the smallest if none fits."""
    taken: list[Case] = []
    for unit in together:
        taken += unit if len(taken) + len(unit) <= wanted else ()
    return taken or [*sorted(together, key=len)[0]]


def _names(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        raise UsageError(
            "the file of validation cases cannot be read; expected text with one case name a line"
        ) from None
