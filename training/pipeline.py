"""The way from a dataset to a bundle. Read ``train`` first."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from pydantic import BaseModel

from skipseg.models.bundle import Bundle
from skipseg.models.errors import UsageError
from skipseg.models.networks.recipes import build
from skipseg.models.precision import Precision, choose_device, fastest_precision
from skipseg.training.cache import CachedCase, cache_cases
from skipseg.training.dataset import Dataset, checksum, open_dataset
from skipseg.training.fingerprint import measure
from skipseg.training.fit import Fit, FitSettings
from skipseg.training.outcome import Run, write_bundle
from skipseg.training.planner import TrainingPlan, explain, make_plan
from skipseg.training.progress import Display
from skipseg.training.sampling import PatchSampler, SpatialSettings
from skipseg.training.schedule import Budget
from skipseg.training.split import Split, split_cases
from skipseg.training.validate import Validation

DEFAULT_MINUTES = 60.0
HURRIED_MINUTES = 2.0  # 60 steps on phantoms reached Dice 0.56 unhurried, as many voxels in 90 hurried steps 0.91


@dataclass(frozen=True)
class TrainOptions:
    """What a user may ask of a training run; everything else follows from the data and the device."""

    minutes: float | None = None  # wall clock of the whole run, evaluation included
    epochs: int | None = None  # or: how often every case is seen
    validation: Path | None = None  # a file with one case name a line
    fold: int | None = None
    device: str = "auto"
    seed: int = 0
    resume: bool = False
    name: str | None = None
    memory: int | None = None  # bytes, when not all that is free may be used
    quiet: bool = False


class Setup(BaseModel):
    """What a run decided at its start, kept beside the checkpoint so that ``resume`` goes on with the same."""

    dataset_sha256: str
    training: tuple[str, ...]
    validation: tuple[str, ...]
    seed: int
    precision: Precision
    plan: TrainingPlan


def train(dataset_folder: Path, out: Path, options: TrainOptions) -> Bundle:
    """Train on a dataset and leave a bundle at ``out``.

    Intermediate files live in ``OUT.training`` beside it until the bundle is whole. Ctrl-C leaves a bundle of the best
    weights so far. Raises ``DatasetError``, ``PlanError`` or ``UsageError``.
    """
    started = time.monotonic()
    display = Display(options.quiet)
    work = _work_folder(out, options)
    device = choose_device(options.device)
    dataset = open_dataset(dataset_folder)
    split = split_cases(dataset, options.validation, options.fold)
    setup = _decide(dataset, split, options, device, work, display)
    cases = _cached(dataset, split, setup, work, display)
    validation = Validation(cases[len(split.training) :], setup.plan.plan, device, setup.precision)
    fit = _fit(setup, cases[: len(split.training)], validation, options, device, work, started, display)
    with display.fitting():
        fitted = fit.run()
    run = Run(dataset, setup.dataset_sha256, split, setup.seed, setup.precision, setup.plan.plan, device)
    bundle = write_bundle(out, work, run, fitted, options.name, display)
    shutil.rmtree(work)
    return bundle


def _work_folder(out: Path, options: TrainOptions) -> Path:
    if options.minutes is not None and options.epochs is not None:
        raise UsageError("give either --minutes or --epochs, not both")
    if any(wish is not None and wish <= 0 for wish in (options.minutes, options.epochs)):
        raise UsageError("--minutes and --epochs must be above 0")
    if out.exists() and not (out / "bundle.json").is_file() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists and is not a bundle; nothing is overwritten: choose another --out")
    work = out.with_name(out.name + ".training")
    if work.exists() and not options.resume:
        shutil.rmtree(work)
    work.mkdir(parents=True, exist_ok=True)
    return work


def _decide(
    dataset: Dataset, split: Split, options: TrainOptions, device: torch.device, work: Path, display: Display
) -> Setup:
    """The plan of this run: the one on disk when it is resumed, a new one otherwise."""
    path, digest = work / "setup.json", checksum(dataset)
    names = tuple(case.name for case in split.training), tuple(case.name for case in split.validation)
    if path.is_file():
        setup = Setup.model_validate_json(path.read_text())
        if (setup.dataset_sha256, setup.training, setup.validation) != (digest, *names):
            raise UsageError(
                "the dataset or the validation cases differ from those of the run to resume; train without --resume"
            )
        display.say(f"resuming the run in {work}")
        return setup
    display.say(f"{dataset.name}: {len(names[0])} cases to train on, {len(names[1])} kept out; measuring them")
    training = Dataset(**{**vars(dataset), "cases": split.training})
    plan = make_plan(measure(training), device, options.memory, _hurried(options, device))
    display.say(explain(plan))
    setup = Setup(
        dataset_sha256=digest,
        training=names[0],
        validation=names[1],
        seed=options.seed,
        precision=fastest_precision(device),
        plan=plan,
    )
    path.write_text(setup.model_dump_json(indent=2))
    return setup


def _cached(dataset: Dataset, split: Split, setup: Setup, work: Path, display: Display) -> list[CachedCase]:
    cases = [*split.training, *split.validation]
    with display.counting("preprocessing", len(cases)) as done:
        return cache_cases(dataset, cases, setup.plan.plan, work / "cache", done)


def _fit(
    setup: Setup,
    cases: list[CachedCase],
    validation: Validation,
    options: TrainOptions,
    device: torch.device,
    work: Path,
    started: float,
    display: Display,
) -> Fit:
    torch.manual_seed(setup.seed)
    spatial = SpatialSettings(flips=setup.plan.flips)
    sampler = PatchSampler(cases, setup.plan.plan.tile, setup.plan.batch, setup.seed, spatial)
    network = build(setup.plan.plan.network)
    spent = time.monotonic() - started
    budget = _budget(options, len(cases), setup.plan.batch, validation.reserve(), spent, display)
    pace = FitSettings(learning_rate=5e-3, warm_up_steps=10) if _hurried(options, device) else FitSettings()
    return Fit(
        network=network,
        sampler=sampler,
        budget=budget,
        settings=replace(pace, whole_batch_dice=setup.plan.whole_batch_dice),
        device=device,
        precision=setup.precision,
        checkpoint=work / "checkpoint.safetensors",
        validate=validation.within(budget.seconds or float("inf")),
        watch=display.moment,
    )


def _hurried(options: TrainOptions, device: torch.device) -> bool:
    """Whether there is time for so few steps that each must be quick, and large."""
    return device.type == "cpu" and options.minutes is not None and options.minutes <= HURRIED_MINUTES


def _budget(options: TrainOptions, cases: int, batch: int, reserve: float, spent: float, display: Display) -> Budget:
    """Steps for epochs; for minutes what is left of them once evaluation has its share (at most a third)."""
    if options.epochs is not None:
        return Budget(steps=max(options.epochs * cases // batch, 1))
    seconds = (options.minutes or DEFAULT_MINUTES) * 60
    if reserve > seconds / 3:
        display.say(
            f"evaluating the cases kept out will take about {reserve / 60:.1f} minutes, longer than planned for"
        )
    return Budget(seconds=seconds - min(reserve, seconds / 3), spent=spent)
