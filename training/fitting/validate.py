"""A quick look at the cases kept out, on the network's own grid, while a fit is under way."""

from __future__ import annotations

import time
from collections.abc import Sequence
from math import prod
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skipseg.models.errors import UsageError
from skipseg.models.inference.sliding import scores_of
from skipseg.models.inference.tiles import Tiling
from skipseg.models.networks.recipes import build
from skipseg.models.plan import Plan
from skipseg.models.precision import Precision
from skipseg.training.fitting.cache import CachedCase, CaseFiles

LOOKED_AT = 6  # cases at most; the figure is an impression, the evaluation at the end is on all of them
AIMED_WITH = 24  # cases at most, when their Dice decides when a training ends
LOOK_SHARE = 0.01  # of the budget that one look may take
AIM_SHARE = 0.05  # the same of a look that decides when a training ends
EVALUATION_SECONDS = 5.0  # of the report and the bundle
TIMING_SECONDS = 0.5
SECONDS_PER_VOXEL = 3e-7  # surface distances and writing


class Validation:
    """Mean Dice of averaged weights on a few cases kept out."""

    def __init__(self, cases: Sequence[CaseFiles], plan: Plan, device: torch.device, precision: Precision) -> None:
        self.cases, self.plan = list(cases), plan
        self._asked = [case for case in cases if case.foreground]  # no other has a Dice
        self.looked_at = LOOKED_AT
        self.device, self.precision = device, precision
        self.network = build(plan.network).to(device).eval()
        a_tile = self._tile_seconds() if cases else 0.0
        self._voxels = sum(prod(case.open().classes.shape) for case in cases)
        self._all_seconds = sum(self._seconds_of(case, a_tile) for case in cases)
        self._seconds = [self._seconds_of(case, a_tile) for case in self._asked]

    def __call__(self, weights: dict[str, Tensor]) -> float:
        self.network.load_state_dict(weights)
        return float(np.mean([score for case in self._asked[: self.looked_at] for score in self._dice(case.open())]))

    def reserve(self) -> float:
        """Seconds that the evaluation at the end will take."""
        if not self.cases:
            return 0.0
        return EVALUATION_SECONDS + SECONDS_PER_VOXEL * self._voxels + 1.3 * self._all_seconds

    def aiming(self, budget_seconds: float) -> Validation:
        """More cases, for a figure that decides when a training ends; one at least, whatever it takes.

        Raises ``UsageError`` when there are none with a label.
        """
        if not self._asked:
            raise UsageError("--target-dice needs cases kept out, with labels, to measure it on; give --val-cases")
        cheap = int((np.cumsum(self._seconds) < AIM_SHARE * budget_seconds).sum())
        self.looked_at = min(max(cheap, 1), AIMED_WITH)
        return self

    def within(self, budget_seconds: float) -> Validation | None:
        """The cases that can be looked at cheaply within a budget, or None when not even one can."""
        spent = np.cumsum(self._seconds)
        cheap = int((spent < LOOK_SHARE * budget_seconds).sum())
        self.looked_at = min(cheap, LOOKED_AT)
        return self if cheap else None

    def _seconds_of(self, case: CaseFiles, a_tile: float) -> float:
        return a_tile * self._tiles(case.open().classes.shape)

    def _tiles(self, shape: tuple[int, ...]) -> int:
        size = [max(length, side) for length, side in zip(shape, self.plan.tile, strict=False)]
        slices = 1 if self.plan.dimensions == 3 else shape[-1]
        return slices * len(Tiling.over(size, self.plan.tile, self.plan.overlap))

    @torch.inference_mode()
    def _tile_seconds(self) -> float:
        """Of one tile: the middle one of a few, the first left out because kernels are set up in it."""
        tile = torch.zeros(len(self.plan.channels), *(*self.plan.tile, 1)[:3])
        taken: list[float] = []
        while len(taken) < 2 or (len(taken) < 6 and sum(taken) < TIMING_SECONDS):
            before = time.monotonic()
            scores_of(tile, self.network, self.plan, self.device, self.precision)[0].sum().item()
            taken.append(time.monotonic() - before)
        return median(taken[1:])

    def _dice(self, case: CachedCase) -> list[float]:
        found = self._classes(case)
        present = [value for value in range(1, self.plan.network.classes) if (case.classes == value).any()]
        return [_dice(found == value, case.classes == value) for value in present]

    @torch.inference_mode()
    def _classes(self, case: CachedCase) -> NDArray[np.integer]:
        image = torch.from_numpy(np.array(case.image)).float()
        return scores_of(image, self.network, self.plan, self.device, self.precision).argmax(0).cpu().numpy()


def _dice(ours: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    return float(2 * (ours & truth).sum() / (ours.sum() + truth.sum()))
