"""The options of ``skipseg train``, grouped as its help shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RETRAINING, ENSEMBLES = "Retraining", "Cross-validation and ensembles"

Out = Annotated[Path, typer.Option(metavar="BUNDLE", file_okay=False, help="Folder of the bundle to make.")]
Minutes = Annotated[float | None, typer.Option(help="Wall-clock minutes of the whole run. Default: 60.")]
Epochs = Annotated[int | None, typer.Option(help="Instead: how often every case is seen.")]
ValidationCases = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="File with one case name a line: kept out to validate on."),
]
Fold = Annotated[int | None, typer.Option(min=0, max=4, help="Instead: keep out this fifth of the cases.")]
GroupsKept = Annotated[
    Path | None,
    typer.Option(
        exists=True, dir_okay=False, help="CSV file with the columns case and group: groups are never torn apart."
    ),
]
Seed = Annotated[int, typer.Option(help="Seed of every random choice.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with an interrupted run into the same --out.")]
Name = Annotated[str | None, typer.Option(help="The model's name. Default: the dataset's.")]
TargetDice = Annotated[float | None, typer.Option(help="End as soon as the mean Dice on cases kept out reaches this.")]
Track = Annotated[
    str | None, typer.Option(metavar="tensorboard|mlflow", help="Follow the training there too, as it runs.")
]
Instruments = Annotated[
    bool,
    typer.Option("--instruments", help="Write down norms of gradients, layer by layer, at some ten steps."),
]
Shard = Annotated[bool, typer.Option("--shard", help="With torchrun: each process holds a part of the network (FSDP).")]

Folds = Annotated[
    int | None,
    typer.Option(
        metavar="K",
        help="Cross-validate: K networks, each without one part of the cases, that answer as one.",
        rich_help_panel=ENSEMBLES,
    ),
]
Distil = Annotated[
    bool,
    typer.Option("--distil", help="With --folds: leave one network that they teach.", rich_help_panel=ENSEMBLES),
]

Base = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="MODEL",
        help="Go on from a bundle's folder, or NAME or NAME@VERSION from the registry.",
        rich_help_panel=RETRAINING,
    ),
]
FreezeEncoder = Annotated[
    bool,
    typer.Option("--freeze-encoder", help="Train the expanding path and head alone.", rich_help_panel=RETRAINING),
]
Replays = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="DATASET",
        exists=True,
        file_okay=False,
        help="Mix in cases of an older dataset, so that what was learned there is kept; may be repeated.",
        rich_help_panel=RETRAINING,
    ),
]
