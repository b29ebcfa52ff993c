"""What a training run decides once, at its start, and where it keeps that."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from pathlib import Path
from typing import Literal

import torch
from pydantic import BaseModel, ValidationError

from skipseg.models.errors import UsageError
from skipseg.models.plan import Plan
from skipseg.models.precision import Precision, fastest_precision
from skipseg.training.datasets.dataset import Dataset, checksum
from skipseg.training.datasets.split import Split
from skipseg.training.fitting.tracking import check_tracking
from skipseg.training.judging.ranges import ranges_of
from skipseg.training.planning.fingerprint import measure
from skipseg.training.planning.overrides import Overrides
from skipseg.training.planning.planner import Circumstances, TrainingPlan, explain, make_plan
from skipseg.training.planning.probe import Probe
from skipseg.training.runs.keep_plan import keep_plan
from skipseg.training.runs.progress import Display

DEFAULT_MINUTES = 60.0
HURRIED_MINUTES = 2.0  # a judgement: below it, steps are so few on a processor that each must be quick, and large
MARK = "made-by-skipseg-train.txt"  # only a folder that holds it is ever removed
SETUP, CHECKPOINT = "setup.json", "checkpoint.safetensors"
FOLDED = "folds.json"  # beside SETUP in a run with folds, whose checkpoints lie in a folder per network


@dataclass(frozen=True)
class TrainOptions:
    """What a user may ask of a training run; everything else follows from the data and the device."""

    minutes: float | None = None  # wall clock of the whole run, evaluation included
    epochs: int | None = None  # or: how often every case is seen
    validation: Path | None = None  # a file with one case name a line
    fold: int | None = None
    folds: int | None = None  # or: one network per part of the cases, all of them one ensemble
    distil: bool = False  # one network in the end, taught by the ensemble
    groups: Path | None = None  # a table of cases that belong together
    device: str = "auto"
    seed: int = 0
    resume: bool = False
    name: str | None = None
    memory: int | None = None  # bytes, when not all that is free may be used
    base: Path | None = None  # a bundle to go on from
    base_version: int | None = None  # that it has in a registry
    freeze_encoder: bool = False  # what the base's contracting path and bottom learned stays as it is
    replay: tuple[Path, ...] = ()  # datasets whose cases are mixed in
    target_dice: float | None = None  # on validation cases; reached, the training ends
    overrides: Overrides = field(default_factory=Overrides)  # choices made instead of the planner's
    track: str | None = None  # where else than in history.csv the course is followed: tensorboard, mlflow
    instruments: bool = False  # norms of gradients are written down, layer by layer
    shard: bool = False  # of several processes each holds a part of the network
    started: float | None = None  # on time.monotonic's clock, what minutes are counted from; None: the call of train
    quiet: bool = False

    def check(self) -> None:
        """Raise ``UsageError`` for wishes that cannot be met whatever the data."""
        if self.minutes is not None and self.epochs is not None:
            raise UsageError("give either --minutes or --epochs, not both")
        if any(wish is not None and not (isfinite(wish) and wish > 0) for wish in (self.minutes, self.epochs)):
            raise UsageError("--minutes and --epochs must be above 0")
        if self.base is None and not self.resume and (self.freeze_encoder or self.replay):
            raise UsageError("--freeze-encoder and --replay go on from a bundle; name it with --from")
        if self.target_dice is not None and not 0 < self.target_dice < 1:
            raise UsageError(f"--target-dice is a number between 0 and 1; got {self.target_dice:g}")
        check_tracking(self.track)
        if self.seed < 0:
            raise UsageError(f"--seed must be 0 or above; got {self.seed}")


class Setup(BaseModel):
    """What a run goes on with when it is resumed, whatever is asked then.

    ``loop`` rises whenever what a checkpoint holds changes: a run is gone on with by the loop that began it.
    """

    loop: Literal[2]
    dataset_sha256: str
    training: tuple[str, ...]
    validation: tuple[str, ...]
    seed: int
    minutes: float | None
    epochs: int | None
    precision: Precision
    plan: TrainingPlan
    target_dice: float | None = None

    def hurried(self, device: torch.device) -> bool:
        """Whether there is time for so few steps that each must be quick, and large."""
        return hurried(self.minutes, device)


def open_work(out: Path, resume: bool) -> Path:
    """The folder beside ``out`` for files on the way, made if need be.

    What an unfinished run left there is kept for ``resume``, and nothing of others is ever removed or overwritten.
    Raises ``UsageError`` when something is in the way.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"{out} exists and is not empty; nothing is overwritten: choose another --out, or remove it")
    work = out.with_name(out.name + ".training")
    if work.exists() and not (work / MARK).is_file() and (not work.is_dir() or any(work.iterdir())):
        raise UsageError(f"{work} is needed for files on the way, but holds others; choose another --out")
    if any(work.rglob(CHECKPOINT)) and not resume:
        raise UsageError(f"an unfinished run lies in {work}: go on with --resume, or remove that folder to start anew")
    if not resume:
        (work / SETUP).unlink(missing_ok=True)
        (work / FOLDED).unlink(missing_ok=True)
    work.mkdir(parents=True, exist_ok=True)
    (work / MARK).write_text("Files of a training run; `skipseg train ... --resume` goes on with it.\n")
    return work


def decide(
    dataset: Dataset,
    split: Split,
    options: TrainOptions,
    device: torch.device,
    work: Path,
    display: Display,
    base: Plan | None = None,
    replayed: Sequence[str] = (),
) -> Setup:
    """The setup on disk when a run is resumed, a new one otherwise; ``base`` and ``replayed`` as in ``plan_for``."""
    path, digest = work / SETUP, checksum(dataset)
    names = tuple(case.name for case in split.training), tuple(case.name for case in split.validation)
    if path.is_file():
        return _resumed(path, (digest, *names), display)
    if options.resume:
        display.say("there is no run to resume; starting one")
    display.say(f"{dataset.name}: {len(names[0])} cases to train on, {len(names[1])} kept out; measuring them")
    minutes = None if options.epochs is not None else options.minutes or DEFAULT_MINUTES
    setup = Setup(
        loop=2,
        dataset_sha256=digest,
        training=names[0],
        validation=names[1],
        seed=options.seed,
        minutes=minutes,
        epochs=options.epochs,
        target_dice=options.target_dice,
        precision=fastest_precision(device),
        plan=plan_for(
            dataset,
            split,
            minutes,
            device,
            options.memory,
            base=base,
            overrides=options.overrides,
            replayed=replayed,
        ),
    )
    display.say(explain(setup.plan))
    draft = path.with_suffix(".writing")
    draft.write_text(setup.model_dump_json(indent=2))
    os.replace(draft, path)
    return setup


def plan_for(
    dataset: Dataset,
    split: Split,
    minutes: float | None,
    device: torch.device,
    memory: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    base: Plan | None = None,
    overrides: Overrides | None = None,
    replayed: Sequence[str] = (),
) -> TrainingPlan:
    """The plan for the training cases of a split and the time there is; ``progress(done, total)`` while measuring.

    A plan ``base`` to keep to leaves only batch and mirroring open; labels that ``replayed`` cases have count for the
    latter. ``overrides`` are choices made by a person. Steps are timed where minutes are enough for it.
    """
    given = overrides or Overrides()
    fingerprint = measure(replace(dataset, cases=split.training), progress)
    if base is not None:
        planned = keep_plan(base, fingerprint, device, memory, hurried(minutes, device), given, replayed)
    else:
        probe = Probe.within(minutes, device, fastest_precision(device))
        circumstances = Circumstances(minutes, len(split.validation), given, probe)
        planned = make_plan(fingerprint, device, memory, hurried(minutes, device), circumstances)
    return planned.model_copy(update={"ranges": ranges_of(fingerprint)})


def hurried(minutes: float | None, device: torch.device) -> bool:
    """Whether a budget on a device is so small that steps must be quick."""
    return device.type == "cpu" and minutes is not None and minutes <= HURRIED_MINUTES


def _resumed(path: Path, wanted: tuple[str, tuple[str, ...], tuple[str, ...]], display: Display) -> Setup:
    try:
        setup = Setup.model_validate_json(path.read_text())
    except (ValidationError, UnicodeDecodeError):
        raise UsageError(f"{path} is damaged or of another version; remove {path.parent} to start anew") from None
    if (setup.dataset_sha256, setup.training, setup.validation) != wanted:
        raise UsageError(
            f"the dataset or the validation cases differ from those of the run in {path.parent}; ask for the same, or "
            "remove that folder to start anew"
        )
    budget = f"{setup.epochs} epochs" if setup.epochs is not None else f"{setup.minutes:g} minutes"
    display.say(f"resuming the run in {path.parent}, with its budget of {budget} and its seed {setup.seed}")
    return setup
