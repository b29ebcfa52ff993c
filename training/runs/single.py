"""One network: from the weights it starts with, on these cases, into this folder. Every training is made of such."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from skipseg.models.errors import UsageError
from skipseg.models.networks.recipes import build
from skipseg.training.fitting.cache import CaseFiles
from skipseg.training.fitting.fit import Fit, FitSettings, Fitted, Teach
from skipseg.training.fitting.parallel import Alone, State
from skipseg.training.fitting.sampling import PatchSampler
from skipseg.training.fitting.schedule import Budget
from skipseg.training.fitting.spatial import SpatialSettings
from skipseg.training.fitting.tracking import open_trackers
from skipseg.training.fitting.validate import Validation
from skipseg.training.planning.planner import TrainingPlan
from skipseg.training.runs.progress import Display
from skipseg.training.runs.rehearsal import Rehearsal, rehearsing
from skipseg.training.runs.setup import CHECKPOINT, Setup
from skipseg.training.study.gradients import INSTRUMENTS, GradientFile

FEW_STEPS = 20  # fewer teach a network next to nothing


@dataclass(frozen=True)
class Conditions:
    """What all networks of a run share."""

    setup: Setup
    device: torch.device
    display: Display
    team: Alone
    track: str | None = None  # where else than in history.csv the course is followed
    instruments: bool = False  # gradients are written down, layer by layer


@dataclass(frozen=True)
class Learning:
    """What one network learns from and is looked at on; the cases are cached on the plan's grid."""

    cases: Sequence[CaseFiles]  # to train on; those replayed of older datasets come last
    validation: Validation
    replayed: int = 0
    pace: FitSettings | None = None  # of a network that has learned before; None: the pace of a fresh one
    rehearsal: Rehearsal | None = None  # of the evaluation at the end


def fresh(conditions: Conditions, seed: int) -> nn.Module:
    """An untrained network of the plan."""
    torch.manual_seed(seed)
    return build(conditions.setup.plan.plan.network)


def fit_one(
    conditions: Conditions,
    network: nn.Module,
    learning: Learning,
    budget: Budget,
    folder: Path,
    seed: int,
    teach: Teach | None = None,
) -> Fitted:
    """Fit ``network`` from the weights it has; goes on from a checkpoint in ``folder``, and leaves one there."""
    setup, plan, team = conditions.setup, conditions.setup.plan.plan, conditions.team
    spatial = SpatialSettings(flips=setup.plan.flips, spacing=setup.plan.voxel)
    folder.mkdir(parents=True, exist_ok=True)
    fit = Fit(
        network=network,
        sampler=PatchSampler(
            learning.cases,
            plan.tile,
            setup.plan.batch,
            seed,
            spatial,
            device=conditions.device,
            rank=team.rank,
            world=team.world,
            replayed=learning.replayed,
        ),
        budget=budget,
        settings=_settings(learning.pace or _pace(conditions), setup.plan),
        device=conditions.device,
        precision=setup.precision,
        checkpoint=folder / CHECKPOINT,
        validate=_looks(conditions, learning, budget) if team.leads else None,
        rehearse=rehearsing(learning.rehearsal, budget, conditions.display.say)
        if team.leads and learning.rehearsal
        else None,
        watch=conditions.display.moment,
        target=setup.target_dice,
        trackers=open_trackers(conditions.track, folder, conditions.display.say) if team.leads else (),
        say=conditions.display.say,
        team=team,
        teach=teach,
        instrument=GradientFile(folder / INSTRUMENTS, leads=team.leads) if conditions.instruments else None,
    )
    with conditions.display.fitting():
        fitted = fit.run()
    conditions.display.fitted(fitted)
    return fitted


def _settings(pace: FitSettings, plan: TrainingPlan) -> FitSettings:
    rate = plan.learning_rate if plan.learning_rate is not None else pace.learning_rate
    return replace(pace, learning_rate=rate, whole_batch_dice=plan.whole_batch_dice)


def _looks(conditions: Conditions, learning: Learning, budget: Budget) -> Callable[[State], float] | None:
    if conditions.setup.target_dice is not None:
        return learning.validation.aiming(budget.seconds or float("inf"))
    return learning.validation.within(budget.seconds or float("inf"))


def steps_budget(setup: Setup, learning: Learning, processes: int = 1) -> Budget:
    """The steps of the epochs asked for; replayed cases are drawn as often as new ones, and come on top."""
    assert setup.epochs is not None
    new = len(learning.cases) - learning.replayed
    patches = setup.epochs * new * (2 if learning.replayed else 1)
    return Budget(steps=max(patches // (setup.plan.batch * processes), 1))


def check_learned(fitted: Fitted, display: Display) -> None:
    """A network that has learned nothing is no outcome."""
    if fitted.steps == 0 and fitted.interrupted:
        raise UsageError("interrupted before the first step: nothing was learned, and no bundle is left")
    if fitted.steps == 0:
        raise UsageError("there was no time for a single step: reading the data took it all; give more --minutes")
    if fitted.steps < FEW_STEPS:
        display.say(f"only {fitted.steps} steps were made: the network has hardly learned; give more time")


def _pace(conditions: Conditions) -> FitSettings:
    hurried = conditions.setup.hurried(conditions.device)
    return FitSettings(learning_rate=5e-3, warm_up_steps=10) if hurried else FitSettings()
