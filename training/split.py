"""Which cases are kept out of training to measure what was learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skipseg.models.errors import DatasetError, UsageError
from skipseg.training.dataset import Case, Dataset, named_cases

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
    most 12, so that nearly everything is trained on and a figure still comes with the bundle. Raises ``UsageError``
    when both are given or the fold is unknown, ``DatasetError`` when a named case is missing or none would be left.
    """
    labelled = [case for case in dataset.cases if case.label is not None]
    if validation is not None and fold is not None:
        raise UsageError("give either --val-cases or --fold, not both")
    if fold is not None and not 0 <= fold < FOLDS:
        raise UsageError(f"--fold is a number from 0 to {FOLDS - 1}; got {fold}")
    kept_out = set(named_cases(dataset, _names(validation)) if validation is not None else _drawn(labelled, fold))
    if fold is not None and not kept_out:
        raise UsageError(f"fold {fold} of {len(labelled)} cases keeps none out; use a smaller number")
    training = tuple(case for case in labelled if case not in kept_out)
    if not training:
        raise DatasetError("no labelled case is left to train on; keep fewer cases out")
    return Split(training, tuple(case for case in labelled if case in kept_out))


def _drawn(cases: Sequence[Case], fold: int | None) -> list[Case]:
    if len(cases) < 2:
        return []
    order = np.random.default_rng(SPLIT_SEED).permutation(len(cases))
    if fold is not None:
        return [cases[i] for i in order[fold::FOLDS]]
    return [cases[i] for i in order[: min(max(round(len(cases) / 10), 1), 12)]]


def _names(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError):
        raise UsageError(
            "the file of validation cases cannot be read; expected text with one case name a line"
        ) from None
