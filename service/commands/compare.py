"""``skipseg compare``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skipseg.service.commands.evaluate import CaseNames, GroupFile, choose_cases, learned_from
from skipseg.service.commands.models import open_registry
from skipseg.service.commands.options import DataFolder, DatasetFolder, DeviceName, PrecisionName
from skipseg.service.commands.progress import bar

if TYPE_CHECKING:
    from skipseg.training.judging.paired import Difference

MODEL = "A bundle's folder, or NAME or NAME@VERSION from the registry."


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help=MODEL)],
    b: Annotated[str, typer.Argument(metavar="B", help=MODEL)],
    dataset: DatasetFolder,
    out: Annotated[
        Path, typer.Option(file_okay=False, help="Folder for comparison.json, cases.csv, report.html, masks/.")
    ],
    cases: CaseNames = None,
    groups: GroupFile = None,
    device: DeviceName = "auto",
    precision: PrecisionName = "fast",
    data: DataFolder = None,
) -> None:
    """Score two models on the same cases and tell the paired differences; exit 1 if a case failed, each named."""
    from skipseg.models.inference.predictor import load_predictor
    from skipseg.models.precision import choose_device, mode_of
    from skipseg.models.registry import open_model
    from skipseg.training.datasets.dataset import open_dataset
    from skipseg.training.datasets.groups import with_groups
    from skipseg.training.runs.compare import compare as run

    registry = open_registry(data)
    opened = [(name, open_model(name, registry)) for name in (a, b)]
    truth = with_groups(open_dataset(dataset), groups)
    records = [bundle.manifest.training for _, bundle in opened]
    chosen = choose_cases(truth, records, cases)
    learned = {side: sorted(learned_from(chosen, [record])) for side, record in zip("ab", records, strict=True)}
    models = [(name, load_predictor(bundle, choose_device(device), mode_of(precision))) for name, bundle in opened]
    with bar("comparing") as progress:
        found = run(models, truth, chosen, out, learned, progress)
    for failure in found.failed:
        print(f"{failure.case}: {failure.error}", file=sys.stderr)
    print(f"{_told(found.mean.dice)}; see {out / 'report.html'}")
    raise typer.Exit(1 if found.failed else 0)


def _told(dice: Difference) -> str:
    if dice.difference is None:
        return "no case has a Dice under both models"
    off = f" ({dice.interval[0]:+.4f} to {dice.interval[1]:+.4f})" if dice.interval else ""
    counts = f"better in {dice.wins}, worse in {dice.losses} of {dice.cases} cases"
    return f"mean Dice {dice.a:.4f} and {dice.b:.4f}, difference {dice.difference:+.4f}{off}, {counts}"
