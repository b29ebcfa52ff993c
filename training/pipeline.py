"""The way from a dataset to a bundle. Read ``train`` first."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from skipseg.models.bundle import Bundle
from skipseg.models.errors import UsageError
from skipseg.models.networks.recipes import build
from skipseg.models.precision import choose_device
from skipseg.training.cache import CaseFiles, cache_cases
from skipseg.training.dataset import Dataset, open_dataset
from skipseg.training.fit import Fit, FitSettings, Fitted
from skipseg.training.gains import Before, judge_base
from skipseg.training.outcome import Run, write_bundle
from skipseg.training.progress import Display
from skipseg.training.retrain import PACE, Retraining, open_retraining, split_anew
from skipseg.training.sampling import PatchSampler
from skipseg.training.schedule import Budget
from skipseg.training.setup import CHECKPOINT, Setup, TrainOptions, decide, open_work
from skipseg.training.spatial import SpatialSettings
from skipseg.training.split import Split, split_cases
from skipseg.training.validate import Validation

__all__ = ["TrainOptions", "train"]

FEW_STEPS = 20  # fewer teach a network next to nothing


def train(dataset_folder: Path, out: Path, options: TrainOptions) -> Bundle:
    """Train on a dataset and leave a bundle at ``out``, where nothing may be yet.

    Intermediate files live in ``OUT.training`` beside it until the bundle is whole. Ctrl-C leaves a bundle of the
    averaged weights so far. Raises ``DatasetError``, ``PlanError`` or ``UsageError``.
    """
    started = time.monotonic()
    options.check()
    display, out = Display(options.quiet), out.resolve()
    device = choose_device(options.device)
    dataset = open_dataset(dataset_folder)
    work = open_work(out, options.resume)
    going_on, split = _begin(dataset, options, work, display)
    setup = decide(dataset, split, options, device, work, display, going_on.plan if going_on else None)
    cases = _cached(dataset, split, setup, work, display, going_on)
    judged = judge_base(going_on, dataset, split, device, setup, work, display) if going_on else None
    fit = _fit(setup, cases, len(split.training), device, work, started, display, going_on, judged)
    with display.fitting():
        fitted = fit.run()
    _check_learned(fitted, display)
    run = Run(
        dataset,
        setup.dataset_sha256,
        split,
        setup.seed,
        setup.precision,
        setup.plan.plan,
        device,
        going_on=going_on,
        judged=judged,
        ranges=setup.plan.ranges,
    )
    bundle = write_bundle(out, work, run, fitted, options.name, display)
    shutil.rmtree(work)
    return bundle


def _begin(dataset: Dataset, options: TrainOptions, work: Path, display: Display) -> tuple[Retraining | None, Split]:
    """What to go on from, if anything, and the split that suits it."""
    going_on = open_retraining(dataset, options, work, display)
    if going_on is None:
        return None, split_cases(dataset, options.validation, options.fold)
    split = split_anew(dataset, options, going_on, display)
    return going_on.apart_from(split), split


def _cached(
    dataset: Dataset, split: Split, setup: Setup, work: Path, display: Display, going_on: Retraining | None
) -> list[CaseFiles]:
    """Training cases, then validation cases, then those replayed of older datasets."""
    labels = going_on.labels if going_on else dataset.labels
    parts = [(dataset, [*split.training, *split.validation], "cache")]
    for number, old in enumerate(going_on.replays if going_on else ()):
        parts.append((old.dataset, [*old.training], f"cache-replay-{number}"))
    with display.counting("preprocessing", sum(len(cases) for _, cases, _ in parts)) as done:
        return [
            file
            for of, cases, folder in parts
            for file in cache_cases(of, cases, setup.plan.plan, work / folder, done, labels)
        ]


def _fit(
    setup: Setup,
    cases: Sequence[CaseFiles],
    training: int,
    device: torch.device,
    work: Path,
    started: float,
    display: Display,
    going_on: Retraining | None,
    judged: Before | None,
) -> Fit:
    """A fit of the first ``training`` cases and of those replayed, which come last, looked at on the others."""
    torch.manual_seed(setup.seed)
    replayed = sum(len(old.training) for old in going_on.replays) if going_on else 0
    cases, replays = cases[: len(cases) - replayed], cases[len(cases) - replayed :]
    plan = setup.plan.plan
    spatial = SpatialSettings(flips=setup.plan.flips, spacing=plan.spacing or (1.0,) * plan.dimensions)
    validation = Validation(cases[training:], plan, device, setup.precision)
    spent = time.monotonic() - started
    reserve = validation.reserve() + (judged.reserve() if judged else 0.0)
    budget = _budget(setup, training * (2 if replayed else 1), reserve, spent, display)
    pace = FitSettings(learning_rate=5e-3, warm_up_steps=10) if setup.hurried(device) else FitSettings()
    learning = [*cases[:training], *replays]
    return Fit(
        network=going_on.start(plan, display) if going_on else build(plan.network),
        sampler=PatchSampler(learning, plan.tile, setup.plan.batch, setup.seed, spatial, replayed=replayed),
        budget=budget,
        settings=replace(PACE if going_on else pace, whole_batch_dice=setup.plan.whole_batch_dice),
        device=device,
        precision=setup.precision,
        checkpoint=work / CHECKPOINT,
        validate=validation.within(budget.seconds or float("inf")),
        watch=display.moment,
    )


def _budget(setup: Setup, cases: int, reserve: float, spent: float, display: Display) -> Budget:
    """Steps for epochs; for minutes what is left of them once evaluation has its share (at most a third)."""
    if setup.epochs is not None:
        return Budget(steps=max(setup.epochs * cases // setup.plan.batch, 1))
    assert setup.minutes is not None
    seconds = setup.minutes * 60
    if reserve > seconds / 3:
        display.say(f"evaluating the cases kept out takes about {reserve / 60:.1f} minutes, longer than planned for")
    return Budget(seconds=seconds - min(reserve, seconds / 3), spent=spent)


def _check_learned(fitted: Fitted, display: Display) -> None:
    """A network that has learned nothing is no outcome."""
    if fitted.steps == 0:
        raise UsageError("there was no time for a single step: reading the data took it all; give more --minutes")
    if fitted.steps < FEW_STEPS:
        display.say(f"only {fitted.steps} steps were made: the network has hardly learned; give more time")
