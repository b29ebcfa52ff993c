"""Which cases of a kept dataset models are validated on: chosen once, and kept from training ever after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path

from skipseg.models.errors import DatasetConflict, DatasetError
from skipseg.service.datasets.contents import CaseFiles, Contents, FrozenSet, TrailEntry
from skipseg.training.datasets.dataset import Dataset, open_dataset
from skipseg.training.datasets.groups import check_apart, units
from skipseg.training.datasets.split import draw_folds

FIFTH, MOST = 5, 40  # a fifth of the cases, about 40 at most: each is segmented twice after every training


def choose(folder: Path, contents: Contents, cases: Sequence[str] | None, learned: frozenset[str]) -> dict[str, str]:
    """The cases named, else some drawn from those whose images nobody learned from; with their images' checksums.

    Raises ``DatasetError`` when a case is unknown, groups would be torn, or none would be left on one side.
    """
    known = contents.kept.cases
    if len(known) < 2:
        raise DatasetError(f"it takes two cases to freeze one for validation; the dataset has {len(known)}: PUT more")
    dataset = open_dataset(folder)
    names = set(cases) if cases is not None else _drawn(dataset, contents, learned)
    if unknown := sorted(names - known.keys()):
        raise DatasetError(f"the dataset has no case {', '.join(unknown[:5])}")
    if not names or names == known.keys():
        raise DatasetError(f"freeze at least one case and fewer than all {len(known)}; got {len(names)}")
    left, right = ([case for case in dataset.cases if (case.name in names) is side] for side in (False, True))
    check_apart(left, right, dataset.groups)
    return {name: known[name].image for name in sorted(names)}


def frozen_set(chosen: dict[str, str], entry: TrailEntry) -> FrozenSet:
    """What the dataset keeps of a choice."""
    return FrozenSet(made=entry.when, by=entry.who, cases=chosen)


def refuse_if_frozen(contents: Contents, case: str, after: CaseFiles | None) -> None:
    """Raise ``DatasetConflict`` when a change would alter what models are validated on; labels may be mended."""
    frozen = contents.kept.frozen
    if frozen is None or case not in frozen.cases or (after is not None and after.image == frozen.cases[case]):
        return
    raise DatasetConflict(
        "the case belongs to the frozen validation set: its label may be mended, its image neither replaced nor "
        "removed; freeze other cases first (POST /v1/datasets/NAME/freeze), or use another name"
    )


def _drawn(dataset: Dataset, contents: Contents, learned: frozenset[str]) -> set[str]:
    """From cases nobody learned from; from all where these are fewer than two."""
    seen = {name for name, files in contents.kept.cases.items() if files.image in learned}
    fresh = [unit for unit in units(dataset.cases, dataset.groups) if not seen & {case.name for case in unit}]
    pool = replace(dataset, cases=tuple(case for unit in fresh for case in unit)) if len(fresh) > 1 else dataset
    count = max(min(FIFTH, len(units(pool.cases, pool.groups))), ceil(len(pool.cases) / MOST))
    return {case.name for case in draw_folds(pool, count)[0].validation}
