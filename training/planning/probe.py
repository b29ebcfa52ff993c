"""How long a training step takes on this device: a few real ones, on made-up data of the right shape."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from math import inf
from pathlib import Path

import numpy as np
import torch

from skipseg.models.networks.recipes import build
from skipseg.models.precision import Precision
from skipseg.training.fitting.cache import CachedCase
from skipseg.training.fitting.fit import Fit, FitSettings
from skipseg.training.fitting.sampling import PatchSampler
from skipseg.training.fitting.schedule import Budget
from skipseg.training.fitting.spatial import SpatialSettings
from skipseg.training.planning.candidates import Candidate
from skipseg.training.planning.costs import guessed_seconds
from skipseg.training.planning.effort import PROBE_FROM_MINUTES, PROBE_SECONDS, PROBE_SHARE

WARM_UP, COUNTED = {"cpu": 1, "cuda": 6}, {"cpu": 2, "cuda": 10}  # steps
ROOM = 1.25  # times the patch: a case to cut it from


class Probe:
    """Times candidates until its share of the budget is spent; the first one is timed whatever it takes."""

    def __init__(self, minutes: float, device: torch.device, precision: Precision) -> None:
        self.device, self.precision = device, precision
        self.seconds = min(PROBE_SHARE * 60 * minutes, PROBE_SECONDS)
        self.spent = 0.0

    @classmethod
    def within(cls, minutes: float | None, device: torch.device, precision: Precision) -> Probe | None:
        """One for a budget that is long enough to look before it leaps."""
        return cls(minutes, device, precision) if minutes is not None and minutes > PROBE_FROM_MINUTES else None

    def __call__(self, candidate: Candidate) -> float | None:
        """Seconds a step; infinity where memory does not suffice, None when the time for probing is over."""
        kind = self.device.type
        steps = WARM_UP[kind] + COUNTED[kind]
        likely = steps * guessed_seconds(candidate.recipe, candidate.patch, candidate.batch, kind)
        if self.spent and self.spent + likely > self.seconds:
            return None
        before = time.monotonic()
        took = step_seconds(candidate, self.device, self.precision)
        self.spent += time.monotonic() - before
        return took


def step_seconds(candidate: Candidate, device: torch.device, precision: Precision) -> float:
    """The quickest of a few steps of the fitting loop itself, patches cut and changed meanwhile; others may compute
    here for a moment, too, which is no reason to plan for less."""
    moments: list[float] = []
    kind = device.type
    try:
        with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng(devices=[]):
            fit = _fit(candidate, device, precision, Path(folder) / "probe", lambda: moments.append(time.monotonic()))
            interrupted = fit.run().interrupted
    except (RuntimeError, MemoryError) as problem:
        if isinstance(problem, RuntimeError) and "memory" not in str(problem).lower():
            raise
        return inf
    if interrupted:
        raise KeyboardInterrupt
    if len(moments) < WARM_UP[kind] + COUNTED[kind]:  # a loss that is not finite leaves no row
        return inf
    counted = moments[WARM_UP[kind] - 1 :]
    return max(min(later - sooner for sooner, later in pairwise(counted)), 1e-4)


def _fit(
    candidate: Candidate, device: torch.device, precision: Precision, checkpoint: Path, told: Callable[[], None]
) -> Fit:
    axes = len(candidate.patch)
    spatial = SpatialSettings(flips=(False,) * axes, spacing=candidate.grid.millimetres)
    return Fit(
        network=build(candidate.recipe),
        sampler=PatchSampler([_case(candidate)], candidate.patch, candidate.batch, 0, spatial, device),
        budget=Budget(steps=WARM_UP[device.type] + COUNTED[device.type]),
        settings=FitSettings(),
        device=device,
        precision=precision,
        checkpoint=checkpoint,
        watch=lambda moment: told(),
    )


def _case(candidate: Candidate) -> CachedCase:
    """Noise, and a block of every label."""
    chance = np.random.default_rng(0)
    slices = () if len(candidate.patch) == 3 else (1,)
    shape = (*(max(round(ROOM * side), 1) for side in candidate.patch), *slices)
    classes = np.zeros(shape, dtype=np.uint16)
    half = classes.size // 2
    classes.flat[:half] = np.arange(half) * (candidate.recipe.classes - 1) // half + 1
    image = chance.standard_normal((candidate.recipe.channels, *shape), dtype=np.float32).astype(np.float16)
    places = [np.argwhere(classes == value)[::17].astype(np.int32) for value in np.unique(classes) if value]
    return CachedCase(image, classes, tuple(places))
