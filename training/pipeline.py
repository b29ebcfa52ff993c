"""The way from a dataset to a bundle. Read ``train`` first."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from skipseg.models.bundle import Bundle, load_bundle
from skipseg.models.precision import choose_device
from skipseg.training.datasets.dataset import Dataset, open_dataset
from skipseg.training.datasets.groups import with_groups
from skipseg.training.datasets.split import Split, split_cases
from skipseg.training.fitting.cache import CaseFiles, cache_cases
from skipseg.training.fitting.parallel import Alone, join
from skipseg.training.fitting.schedule import Budget
from skipseg.training.fitting.validate import Validation
from skipseg.training.runs.fold_wishes import check_without_folds
from skipseg.training.runs.folds import train_folds
from skipseg.training.runs.gains import Before, judge_base
from skipseg.training.runs.outcome import Run, write_bundle
from skipseg.training.runs.progress import Display
from skipseg.training.runs.rehearsal import Rehearsal
from skipseg.training.runs.retrain import PACE, Retraining, open_retraining, split_anew
from skipseg.training.runs.setup import Setup, TrainOptions, decide, open_work
from skipseg.training.runs.single import Conditions, Learning, check_learned, fit_one, fresh, steps_budget

__all__ = ["TrainOptions", "train"]


def train(dataset_folder: Path, out: Path, options: TrainOptions) -> Bundle:
    """Train on a dataset and leave a bundle at ``out``, where nothing may be yet; with folds see ``train_folds``.

    Intermediate files live in ``OUT.training`` beside it until the bundle is whole. Ctrl-C leaves a bundle of the
    averaged weights so far. Raises ``DatasetError``, ``PlanError`` or ``UsageError``.
    """
    started = time.monotonic() if options.started is None else options.started
    options.check()
    team = join(choose_device(options.device), options.shard)
    device, out = team.device, out.resolve()
    display = Display(options.quiet or not team.leads)
    dataset = with_groups(open_dataset(dataset_folder), options.groups)
    if options.folds is not None:
        return train_folds(dataset, out, options, team, display, started)
    with team.leader_first():
        work = open_work(out, options.resume or not team.leads)
        check_without_folds(work, options)
        going_on, split = _begin(dataset, options, work, display, team.leads)
    setup = team.told(lambda: _decided(dataset, split, options, device, work, display, going_on))
    cases = _cached(dataset, split, setup, work, display, going_on, team)
    judged = team.told(lambda: judge_base(going_on, dataset, split, device, setup, work, display) if going_on else None)
    conditions = Conditions(setup, device, display, team, options.track, options.instruments)
    learning = _learning(conditions, cases, len(split.training), going_on)
    learning = replace(learning, rehearsal=_rehearsal(conditions, learning, dataset, split, going_on, judged, work))
    budget = _budget(conditions, learning, judged, started)
    network = _network(conditions, going_on)
    fitted = fit_one(conditions, network, learning, budget, work, setup.seed)
    check_learned(fitted, display)
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
        ranges=going_on.ranges(setup.plan.ranges) if going_on else setup.plan.ranges,
    )
    with team.leader_first():
        bundle = write_bundle(out, work, run, fitted, options.name, display) if team.leads else load_bundle(out)
    if team.leads:
        shutil.rmtree(work)
    return bundle


def _begin(
    dataset: Dataset, options: TrainOptions, work: Path, display: Display, leads: bool
) -> tuple[Retraining | None, Split]:
    """What to go on from, if anything, and the split that suits it."""
    going_on = open_retraining(dataset, options, work, display, leads)
    if going_on is None:
        return None, split_cases(dataset, options.validation, options.fold)
    split = split_anew(dataset, options, going_on, display)
    return going_on.apart_from(split), split


def _decided(
    dataset: Dataset,
    split: Split,
    options: TrainOptions,
    device: torch.device,
    work: Path,
    display: Display,
    going_on: Retraining | None,
) -> Setup:
    if going_on is None:
        return decide(dataset, split, options, device, work, display)
    names = [label.name for label in going_on.labels.foreground]
    return decide(dataset, split, options, device, work, display, going_on.plan, names)


def _cached(
    dataset: Dataset, split: Split, setup: Setup, work: Path, display: Display, going_on: Retraining | None, team: Alone
) -> list[CaseFiles]:
    """Training cases, then validation cases, then those replayed of older datasets.

    Several processes preprocess a share each, and then find all of them on disk.
    """
    labels = going_on.labels if going_on else dataset.labels
    parts = [(dataset, [*split.training, *split.validation], "cache")]
    for number, old in enumerate(going_on.replays if going_on else ()):
        parts.append((old.dataset, [*old.training], f"cache-replay-{number}"))
    plan = setup.plan.plan
    with display.counting("preprocessing", sum(len(cases) for _, cases, _ in parts)) as done:
        if team.world > 1:
            for of, cases, folder in parts:
                cache_cases(of, cases[team.rank :: team.world], plan, work / folder, labels=labels)
            team.wait()
        return [
            file for of, cases, folder in parts for file in cache_cases(of, cases, plan, work / folder, done, labels)
        ]


def _learning(
    conditions: Conditions, cases: Sequence[CaseFiles], training: int, going_on: Retraining | None
) -> Learning:
    """Cases as ``_cached`` lists them, of which the first ``training`` are trained on."""
    replayed = sum(len(old.training) for old in going_on.replays) if going_on else 0
    own, replays = cases[: len(cases) - replayed], cases[len(cases) - replayed :]
    setup = conditions.setup
    validation = Validation(own[training:], setup.plan.plan, conditions.device, setup.precision)
    return Learning([*own[:training], *replays], validation, replayed, PACE if going_on else None)


def _rehearsal(
    conditions: Conditions,
    learning: Learning,
    dataset: Dataset,
    split: Split,
    going_on: Retraining | None,
    judged: Before | None,
    work: Path,
) -> Rehearsal:
    return Rehearsal(
        dataset,
        split.validation,
        learning.validation.cases,
        going_on.labels if going_on else dataset.labels,
        conditions.setup.plan.plan,
        conditions.device,
        conditions.setup.precision,
        work / "rehearsal",
        after=judged.reserve() if judged else 0.0,
    )


def _network(conditions: Conditions, going_on: Retraining | None) -> nn.Module:
    """An untrained one, or what the base has learned."""
    untrained = fresh(conditions, conditions.setup.seed)
    return going_on.start(conditions.setup.plan.plan, conditions.display) if going_on else untrained


def _budget(conditions: Conditions, learning: Learning, judged: Before | None, started: float) -> Budget:
    """Steps for epochs; for minutes what is left of them once evaluation has its share."""
    setup = conditions.setup
    if setup.epochs is not None:
        return steps_budget(setup, learning, conditions.team.world)
    assert setup.minutes is not None
    seconds = setup.minutes * 60
    reserve = learning.validation.reserve() + (judged.reserve() if judged else 0.0)
    budget = Budget(seconds=seconds, spent=time.monotonic() - started)
    budget.keep_back(reserve)
    if budget.reserve < reserve:
        conditions.display.say(
            f"evaluating the cases kept out takes about {reserve / 60:.1f} minutes; the run will take longer than asked"
        )
    return budget
