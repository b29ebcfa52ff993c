"""Two models on the same cases: paired differences say more than two means."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from skipseg.training.datasets.dataset import Case, Dataset
from skipseg.training.judging.answer import Model
from skipseg.training.judging.metrics import NUMBERS
from skipseg.training.judging.paired import Comparison, Pair, compare_scores, pairs_of
from skipseg.training.reports.compare_page import write_comparison_page
from skipseg.training.runs.evaluate import MaskFolder, Progress, score


def compare(
    models: Sequence[tuple[str, Model]],
    dataset: Dataset,
    cases: Sequence[Case],
    out: Path,
    learned: Mapping[str, Sequence[str]] | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Score both of two ``models`` (name and model) and write ``comparison.json``, ``cases.csv`` and ``report.html``.

    Their masks go to ``masks/a`` and ``masks/b`` in ``out``. ``learned`` names for ``a`` and ``b`` those of the cases
    that it was trained on. A case that either fails on is in no difference, and named in ``Comparison.failed``. Raises
    as ``evaluate`` does.
    """
    found, masks = [], []
    for number, (side, (name, model)) in enumerate(zip("ab", models, strict=True)):
        folder = MaskFolder(out / "masks" / side, cases)
        tell = None if progress is None else _share(progress, number)
        found.append(score(model, name, dataset, cases, tell, folder.keep))
        masks.append(folder.written)
    a, b = found
    comparison = compare_scores(a, b, learned or {"a": (), "b": ()}, dataset.groups)
    pairs = pairs_of(a, b)
    (out / "comparison.json").write_text(comparison.model_dump_json(indent=1), encoding="utf-8")
    write_pairs(pairs, out / "cases.csv")
    write_comparison_page(comparison, pairs, dataset, (masks[0], masks[1]), out / "report.html")
    return comparison


def write_pairs(pairs: Sequence[Pair], path: Path) -> None:
    """One row per case and label: every number under A, under B, and B less A."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["case", "label", *(f"{number}_{side}" for number in NUMBERS for side in ("a", "b", "change"))])
        for a, b in pairs:
            for name in a.labels:
                row = [_three(getattr(a.labels[name], number), getattr(b.labels[name], number)) for number in NUMBERS]
                table.writerow([a.case, name, *(value for three in row for value in three)])


def _three(a: float | None, b: float | None) -> tuple[float | None, float | None, float | None]:
    return a, b, None if a is None or b is None else b - a


def _share(progress: Progress, number: int) -> Progress:
    return lambda done, total: progress(number * total + done, 2 * total)
