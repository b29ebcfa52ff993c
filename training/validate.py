"""A quick look at the cases kept out, on the network's own grid, while a fit is under way."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from skipseg.models.inference.sliding import scores_of
from skipseg.models.networks.recipes import build
from skipseg.models.plan import Plan
from skipseg.models.precision import Precision
from skipseg.training.cache import CachedCase

LOOKED_AT = 6  # cases; the figure is an impression, the evaluation at the end is on all of them
EVALUATION_SECONDS = 6.0  # of reading, surface distances and the report, beside the network


class Validation:
    """Mean Dice of averaged weights on a few cases kept out."""

    def __init__(self, cases: Sequence[CachedCase], plan: Plan, device: torch.device, precision: Precision) -> None:
        self.cases, self.plan, self.device, self.precision = cases, plan, device, precision
        self.network = build(plan.network).to(device).eval()

    def __len__(self) -> int:
        return len(self.cases)

    def __call__(self, weights: dict[str, Tensor]) -> float:
        self.network.load_state_dict(weights)
        scores = [score for case in self.cases[:LOOKED_AT] for score in self._dice(case)]
        return float(np.mean(scores)) if scores else float("nan")

    def reserve(self, network: nn.Module) -> float:
        """Seconds that the evaluation at the end will take, judged from segmenting one case now."""
        if not self.cases:
            return 0.0
        self.network.load_state_dict(copy.deepcopy(network.state_dict()))
        self._classes(self.cases[0])
        before = time.monotonic()
        self._classes(self.cases[0])
        return EVALUATION_SECONDS + 1.5 * len(self.cases) * (time.monotonic() - before)

    def _dice(self, case: CachedCase) -> list[float]:
        found = self._classes(case)
        present = [value for value in range(1, self.plan.network.classes) if (case.classes == value).any()]
        return [_dice(found == value, case.classes == value) for value in present]

    @torch.inference_mode()
    def _classes(self, case: CachedCase) -> NDArray[np.integer]:
        image = torch.from_numpy(np.array(case.image)).float()
        if self.plan.dimensions == 3:
            return self._largest(image)
        return np.stack([self._largest(part) for part in image.movedim(-1, 0)], axis=-1)

    def _largest(self, image: Tensor) -> NDArray[np.integer]:
        return scores_of(image, self.network, self.plan, self.device, self.precision).argmax(0).cpu().numpy()


def _dice(ours: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    return float(2 * (ours & truth).sum() / (ours.sum() + truth.sum()))
