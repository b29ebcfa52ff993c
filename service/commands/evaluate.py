"""``skipseg evaluate``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skipseg.service.commands.models import open_registry
from skipseg.service.commands.options import DataFolder, DatasetFolder, DeviceName, ModelReference, PrecisionName
from skipseg.service.commands.progress import bar

if TYPE_CHECKING:
    from skipseg.models.bundle import TrainingRecord
    from skipseg.training.datasets.dataset import Case, Dataset


CaseNames = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="File with one case name a line. Default: every labelled case that no model was trained on.",
    ),
]
GroupFile = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        dir_okay=False,
        help="CSV with the columns case and group: intervals are drawn over groups, such as patients.",
    ),
]


def evaluate(
    bundle: ModelReference,
    dataset: DatasetFolder,
    out: Annotated[
        Path, typer.Option(file_okay=False, help="Folder for metrics.json, cases.csv, report.html, masks/.")
    ],
    cases: CaseNames = None,
    groups: GroupFile = None,
    device: DeviceName = "auto",
    precision: PrecisionName = "fast",
    data: DataFolder = None,
) -> None:
    """Score a model's masks against a dataset's truth; exit 1 if a case failed, each named."""
    from skipseg.models.inference.predictor import load_predictor
    from skipseg.models.precision import choose_device, mode_of
    from skipseg.models.registry import open_model
    from skipseg.training.datasets.dataset import open_dataset
    from skipseg.training.datasets.groups import with_groups
    from skipseg.training.runs.evaluate import evaluate as run

    opened, truth = open_model(bundle, open_registry(data)), with_groups(open_dataset(dataset), groups)
    chosen = choose_cases(truth, [opened.manifest.training], cases)
    history = opened.folder / "evaluation" / "history.csv"
    predictor = load_predictor(opened, choose_device(device), mode_of(precision))
    with bar("evaluating") as progress:
        name = opened.manifest.name
        metrics = run(predictor, name, truth, chosen, out, progress, history if history.is_file() else None)
    for failure in metrics.failed:
        print(f"{failure.case}: {failure.error}", file=sys.stderr)
    dice = "none" if metrics.mean.dice is None else f"{metrics.mean.dice:.3f}"
    print(f"mean Dice {dice} over {len(metrics.cases)} cases; see {out / 'report.html'}")
    raise typer.Exit(1 if metrics.failed else 0)


def choose_cases(dataset: Dataset, training: Sequence[TrainingRecord], names: Path | None) -> tuple[Case, ...]:
    """The cases to score: those named, or all labelled ones but those that any of the models learned from.

    Cases that were learned from and are scored all the same are counted on standard error, and so are those left out.
    Raises ``DatasetError`` for a name that is not there, ``UsageError`` when none is left.
    """
    from skipseg.models.errors import UsageError
    from skipseg.training.datasets.dataset import named_cases

    wanted = named_cases(dataset, _lines(names)) if names else tuple(case for case in dataset.cases if case.label)
    learned = learned_from(wanted, training)
    if names is not None:
        if learned:
            print(f"{len(learned)} of {len(wanted)} cases were trained on: their figures flatter it", file=sys.stderr)
        return wanted
    chosen = tuple(case for case in wanted if case.name not in learned)
    if not chosen:
        raise UsageError("no case is left to score: the model was trained on all of them; name some with --cases")
    if learned:
        print(f"{len(learned)} cases are left out, since the model was trained on them", file=sys.stderr)
    return chosen


def learned_from(cases: Sequence[Case], training: Sequence[TrainingRecord]) -> set[str]:
    """Names of the cases whose images any of the models learned from, known by their files' bytes under any name."""
    from skipseg.training.datasets.dataset import image_checksum

    known = frozenset[str]().union(*(record.learned for record in training))
    return {case.name for case in cases if image_checksum(case) in known}


def _lines(file: Path) -> list[str]:
    from skipseg.models.errors import UsageError

    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{file} must be UTF-8 text with one case name a line; byte {error.start} is not; save it as UTF-8"
        ) from None
