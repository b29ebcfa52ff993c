"""``skipseg models tune``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skipseg.service.commands.evaluate import CaseNames, GroupFile, choose_cases, learned_from
from skipseg.service.commands.models import open_registry
from skipseg.service.commands.options import DataFolder, DatasetFolder, DeviceName, ModelReference
from skipseg.service.commands.progress import bar

if TYPE_CHECKING:
    from skipseg.training.runs.fewer_tiles import Trial


def tune(
    model: ModelReference,
    dataset: DatasetFolder,
    out: Annotated[Path, typer.Option(metavar="BUNDLE", help="Folder of the bundle to make, which is not there yet.")],
    cases: CaseNames = None,
    groups: GroupFile = None,
    device: DeviceName = "auto",
    data: DataFolder = None,
) -> None:
    """Prove that a smaller overlap of tiles does as well; exit 1, and leave no bundle, if none does."""
    from skipseg.models.errors import UsageError
    from skipseg.models.inference.predictor import load_predictor
    from skipseg.models.precision import choose_device
    from skipseg.models.registry import open_model
    from skipseg.training.datasets.dataset import open_dataset
    from skipseg.training.datasets.groups import with_groups
    from skipseg.training.runs.fewer_tiles import prove, proven, write_with_fewer_tiles

    if out.exists():
        raise UsageError(f"{out} is there already; choose another folder")
    bundle, truth = open_model(model, open_registry(data)), with_groups(open_dataset(dataset), groups)
    chosen = choose_cases(truth, [bundle.manifest.training], cases)
    if learned := learned_from(chosen, [bundle.manifest.training]):
        raise UsageError(f"{len(learned)} of these cases were trained on, and prove nothing; leave them out of --cases")
    predictor = load_predictor(bundle, choose_device(device), "fast")
    with bar("tuning") as progress:
        trials = prove(predictor, truth, chosen, progress)
    print("\n".join(_told(trial) for trial in trials))
    fewer = proven(trials)
    if fewer is None:
        print("no smaller overlap is proven; the plan's stays, and no bundle was written")
        raise typer.Exit(1)
    write_with_fewer_tiles(bundle, fewer, out)
    print(f"{out}: tiles overlap by {fewer.overlap:g} with --precision fast")


def _told(trial: Trial) -> str:
    found = trial.found
    labels = ", ".join(f"{name} {change}" for name, change in found.labels.items())
    tiles = f"{found.tiles:.0%} of the tiles in {found.cases} cases"
    verdict = f"not taken: {trial.against}" if trial.against else "proven"
    return f"overlap {found.overlap:g}: {tiles}; Dice {found.dice}; {labels}; {verdict}"
