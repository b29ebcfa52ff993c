"""``skipseg train``."""

from __future__ import annotations

import sys

import typer

from skipseg.service.commands import train_options as ask
from skipseg.service.commands.models import open_registry
from skipseg.service.commands.options import DataFolder, DatasetFolder, DeviceName, NetworkName, PlanFile, SkipName


def train(
    dataset: DatasetFolder,
    out: ask.Out,
    minutes: ask.Minutes = None,
    epochs: ask.Epochs = None,
    val_cases: ask.ValidationCases = None,
    fold: ask.Fold = None,
    folds: ask.Folds = None,
    distil: ask.Distil = False,
    groups: ask.GroupsKept = None,
    device: DeviceName = "auto",
    seed: ask.Seed = 0,
    resume: ask.Resume = False,
    name: ask.Name = None,
    plan: PlanFile = None,
    network: NetworkName = None,
    skip: SkipName = None,
    target_dice: ask.TargetDice = None,
    track: ask.Track = None,
    instruments: ask.Instruments = False,
    shard: ask.Shard = False,
    base: ask.Base = None,
    freeze_encoder: ask.FreezeEncoder = False,
    replay: ask.Replays = None,
    data: DataFolder = None,
) -> None:
    """Train on a dataset and leave a bundle. Ctrl-C leaves a bundle of what was learned so far."""
    from skipseg.models.registry import find_model
    from skipseg.training.fitting.parallel import leads
    from skipseg.training.pipeline import TrainOptions
    from skipseg.training.pipeline import train as run
    from skipseg.training.planning.overrides import read_overrides
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
        overrides=read_overrides(plan, network=network, skip=skip),
        target_dice=target_dice,
        track=track,
        instruments=instruments,
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
