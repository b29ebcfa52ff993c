"""What all runs of a study share: cases, plan, judge, and how long things take here."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path
from statistics import median

import numpy as np
import torch

from skipseg.models.errors import DatasetError
from skipseg.models.networks.recipes import build
from skipseg.models.plan import Plan
from skipseg.training.datasets.dataset import Case, Dataset, named_cases
from skipseg.training.fitting.cache import CaseFiles, cache_cases
from skipseg.training.fitting.fit import Fit, FitSettings, Instrument, Moment
from skipseg.training.fitting.parallel import State
from skipseg.training.fitting.sampling import PatchSampler
from skipseg.training.fitting.schedule import Budget
from skipseg.training.fitting.spatial import SpatialSettings
from skipseg.training.study.grid import Variation, recipe_of
from skipseg.training.study.judge import Judge
from skipseg.training.study.records import Setup

KEPT_SHARE, MOST_KEPT, MOST_TRAINED = 0.28, 24, 120  # cases
DRAW = 20150518  # one draw of cases for everybody, whatever the seed of a study
PACE_STEPS = 4


@dataclass(frozen=True)
class Bench:
    """Ready for runs: cases on the network's grid, and a judge for those kept out."""

    setup: Setup
    device: torch.device
    training: tuple[CaseFiles, ...]
    kept_out: tuple[CaseFiles, ...]
    judge: Judge
    work: Path
    out: Path | None = None  # where pictures are kept

    def fit(
        self,
        variation: Variation,
        seed: int,
        steps: int,
        watch: Callable[[Moment], None] = lambda moment: None,
        instrument: Instrument = lambda network, step, progress: None,
        validate: Callable[[State], float] | None = None,
    ) -> Fit:
        """A fit of a variation from the start; fits of one seed see the same patches in the same order."""
        torch.manual_seed(seed)
        checkpoint = self.work / "checkpoint.safetensors"
        checkpoint.unlink(missing_ok=True)
        return Fit(
            network=build(recipe_of(variation, self.setup.frame())),
            sampler=self.sampler(seed),
            budget=Budget(steps=steps),
            settings=FitSettings(whole_batch_dice=self.setup.whole_batch_dice),
            device=self.device,
            precision=self.setup.precision,
            checkpoint=checkpoint,
            watch=watch,
            instrument=instrument,
            validate=validate,
        )

    def sampler(self, seed: int, tile: tuple[int, ...] | None = None, batch: int | None = None) -> PatchSampler:
        """Patches of the training cases."""
        setup = self.setup
        spatial = SpatialSettings(flips=setup.flips, spacing=setup.voxel)
        return PatchSampler(
            self.training, tile or setup.plan.tile, batch or setup.batch, seed, spatial, torch.device("cpu")
        )

    def plan_of(self, variation: Variation) -> Plan:
        """The study's plan with the network of a variation."""
        return self.setup.plan.model_copy(update={"network": recipe_of(variation, self.setup.frame())})

    def step_seconds(self, variation: Variation) -> float:
        """The middle one of a few steps of the fitting loop, without the first."""
        moments: list[float] = []
        fit = self.fit(variation, self.setup.seed, PACE_STEPS, watch=lambda _: moments.append(time.monotonic()))
        if fit.run().interrupted:
            raise KeyboardInterrupt
        return median([later - sooner for sooner, later in pairwise(moments)]) if len(moments) > 1 else 1.0


def draw_cases(dataset: Dataset) -> tuple[tuple[Case, ...], tuple[Case, ...]]:
    """Cases to train on and cases kept out; those of one group are never on both sides.

    Raises ``DatasetError`` with fewer than three labelled cases or groups.
    """
    labelled = [case for case in dataset.cases if case.label is not None]
    subjects = sorted({dataset.groups.get(case.name, case.name) for case in labelled})
    if len(subjects) < 3:
        raise DatasetError(f"a study needs three labelled cases or groups at least; the dataset has {len(subjects)}")
    order = np.random.default_rng(DRAW).permutation(len(subjects))
    count = min(max(round(KEPT_SHARE * len(subjects)), 2), len(subjects) - 1)
    apart = {subjects[place] for place in order[:count]}
    rank = {subjects[place]: number for number, place in enumerate(order.tolist())}
    labelled.sort(key=lambda case: rank[dataset.groups.get(case.name, case.name)])
    kept_out = [case for case in labelled if dataset.groups.get(case.name, case.name) in apart]
    training = [case for case in labelled if dataset.groups.get(case.name, case.name) not in apart]
    return tuple(training[:MOST_TRAINED]), tuple(kept_out[:MOST_KEPT])


def set_up(dataset: Dataset, setup: Setup, work: Path, device: torch.device) -> Bench:
    """Read and preprocess the cases of a setup into ``work``."""
    training, kept_out = _named(dataset, setup.training), _named(dataset, setup.kept_out)
    files = cache_cases(dataset, [*training, *kept_out], setup.plan, work / "cases")
    judge = Judge(dataset, kept_out, setup.plan, device, setup.precision)
    return Bench(setup, device, tuple(files[: len(training)]), tuple(files[len(training) :]), judge, work)


def tile_within(tile: Sequence[int], voxels: int) -> tuple[int, ...]:
    """A tile of about the same shape with at most so many voxels, each side a multiple of 4 where it is shortened."""
    if prod(tile) <= voxels:
        return tuple(tile)
    factor = (voxels / prod(tile)) ** (1 / len(tile))
    return tuple(max(int(side * factor / 4) * 4, min(side, 8)) for side in tile)


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder for files on the way."""
    return tempfile.TemporaryDirectory(prefix="skipseg-study-")


def _named(dataset: Dataset, names: Sequence[str]) -> tuple[Case, ...]:
    """In the order of the names."""
    known = {case.name: case for case in named_cases(dataset, names)}
    return tuple(known[name] for name in names)
