"""``skipseg train``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from skipseg.service.commands.models import open_registry
from skipseg.service.commands.options import DataFolder, DatasetFolder, DeviceName, PlanFile

RETRAINING, ENSEMBLES = "Retraining", "Cross-validation and ensembles"


def train(
    dataset: DatasetFolder,
    out: Annotated[Path, typer.Option(metavar="BUNDLE", file_okay=False, help="Folder of the bundle to make.")],
    minutes: Annotated[float | None, typer.Option(help="Wall-clock minutes of the whole run. Default: 60.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Instead: how often every case is seen.")] = None,
    val_cases: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="File with one case name a line: kept out to validate on."),
    ] = None,
    fold: Annotated[int | None, typer.Option(min=0, max=4, help="Instead: keep out this fifth of the cases.")] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            help="Cross-validate: K networks, each without one part of the cases, that answer as one.",
            rich_help_panel=ENSEMBLES,
        ),
    ] = None,
    distil: Annotated[
        bool,
        typer.Option("--distil", help="With --folds: leave one network that they teach.", rich_help_panel=ENSEMBLES),
    ] = False,
    groups: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="CSV file with the columns case and group: groups are never torn apart."
        ),
    ] = None,
    device: DeviceName = "auto",
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run into the same --out.")
    ] = False,
    name: Annotated[str | None, typer.Option(help="The model's name. Default: the dataset's.")] = None,
    plan: PlanFile = None,
    target_dice: Annotated[
        float | None, typer.Option(help="End as soon as the mean Dice on cases kept out reaches this.")
    ] = None,
    track: Annotated[
        str | None, typer.Option(metavar="tensorboard|mlflow", help="Follow the training there too, as it runs.")
    ] = None,
    shard: Annotated[
        bool, typer.Option("--shard", help="With torchrun: each process holds a part of the network (FSDP).")
    ] = False,
    base: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="MODEL",
            help="Go on from a bundle's folder, or NAME or NAME@VERSION from the registry.",
            rich_help_panel=RETRAINING,
        ),
    ] = None,
    freeze_encoder: Annotated[
        bool,
        typer.Option("--freeze-encoder", help="Train the expanding path and head alone.", rich_help_panel=RETRAINING),
    ] = False,
    replay: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DATASET",
            exists=True,
            file_okay=False,
            help="Mix in cases of an older dataset, so that what was learned there is kept; may be repeated.",
            rich_help_panel=RETRAINING,
        ),
    ] = None,
    data: DataFolder = None,
) -> None:
    """Train on a dataset and leave a bundle. Ctrl-C leaves a bundle of what was learned so far."""
    from skipseg.models.registry import find_model
    from skipseg.training.fitting.parallel import leads
    from skipseg.training.pipeline import TrainOptions
    from skipseg.training.pipeline import train as run
    from skipseg.training.runs.clock import command_given

    start = find_model(base, open_registry(data)) if base else None
    options = TrainOptions(
        minutes=minutes,
        epochs=epochs,
        validation=val_cases,
        fold=fold,
        folds=folds,
        distil=distil,
        groups=groups,
        device=device,
        seed=seed,
        resume=resume,
        name=name,
        overrides=plan,
        target_dice=target_dice,
        track=track,
        shard=shard,
        started=command_given(),
        base=start.folder if start else None,
        base_version=start.version if start else None,
        freeze_encoder=freeze_encoder,
        replay=tuple(replay or ()),
    )
    try:
        bundle = run(dataset, out, options)
    except KeyboardInterrupt:  # outside the fit, which ends in order
        print(f"skipseg: interrupted; the same command with --resume goes on where {out} was left", file=sys.stderr)
        raise typer.Exit(1) from None
    if not leads():
        return
    figures = ", ".join(f"{name} {value:.3f}" for name, value in bundle.manifest.metrics.items() if value is not None)
    print(f"{out}: {bundle.manifest.name}" + (f", {figures}" if figures else ""))
