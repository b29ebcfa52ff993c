"""``skipseg train``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from skipseg.service.commands.options import DatasetFolder, DeviceName


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
    device: DeviceName = "auto",
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run into the same --out.")
    ] = False,
    name: Annotated[str | None, typer.Option(help="The model's name. Default: the dataset's.")] = None,
) -> None:
    """Train on a dataset and leave a bundle. Ctrl-C leaves a bundle of what was learned so far."""
    from skipseg.training.pipeline import TrainOptions
    from skipseg.training.pipeline import train as run

    options = TrainOptions(
        minutes=minutes,
        epochs=epochs,
        validation=val_cases,
        fold=fold,
        device=device,
        seed=seed,
        resume=resume,
        name=name,
    )
    bundle = run(dataset, out, options)
    figures = ", ".join(f"{name} {value:.3f}" for name, value in bundle.manifest.metrics.items() if value is not None)
    print(f"{out}: {bundle.manifest.name}" + (f", {figures}" if figures else ""))
