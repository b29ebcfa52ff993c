"""Training patches: which case, and where in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from skipseg.training.fitting.cache import CachedCase, CaseFiles
from skipseg.training.fitting.spatial import Cut, SpatialSettings, draw_map, draw_mirrored, read

CPU = torch.device("cpu")


class PatchSampler:
    """Draws batches on a device; patch ``number`` of a seed is always the same, whichever process draws it.

    Of several processes that train together, process ``rank`` of ``world`` draws its share of ``batch`` patches of a
    batch of ``world * batch``. The last ``replayed`` of the cases are of older datasets: every second patch is one of
    theirs, however many there are.
    """

    def __init__(
        self,
        cases: Sequence[CachedCase | CaseFiles],
        patch: tuple[int, ...],
        batch: int,
        seed: int,
        settings: SpatialSettings,
        device: torch.device = CPU,
        rank: int = 0,
        world: int = 1,
        replayed: int = 0,
    ) -> None:
        self.cases = cases
        self.patch = patch
        self.batch = batch
        self.seed = seed
        self.settings = settings
        self.device = device
        self.rank, self.world = rank, world
        self.replayed = replayed

    def draw(self, step: int) -> tuple[Tensor, Tensor]:
        """Images (N, C, *patch) float32 and classes (N, *patch) int64 of one step."""
        return read([self._cut(number) for number in self._numbers(step)], self.patch, self.device)

    def annotated(self, step: int) -> Tensor | None:
        """Which classes the truth of each patch of a step could name, bool (N, K); None when it is all of them."""
        masks = [self.cases[self._case_of(number)].annotated for number in self._numbers(step)]
        classes = next((len(mask) for mask in masks if mask), 0)
        return torch.tensor([mask or (True,) * classes for mask in masks]) if classes else None

    def _numbers(self, step: int) -> range:
        first = (step * self.world + self.rank) * self.batch
        return range(first, first + self.batch)

    def _cut(self, number: int) -> Cut:
        chance = np.random.default_rng((self.seed, number))
        case = self.cases[self._case_of(number)].open()
        case = case.slice(chance, self.settings.foreground_share) if len(self.patch) == 2 else case
        centre = self._centre(chance, case)
        matrix = draw_map(self.settings, len(self.patch), chance)
        region = _region(centre, matrix, self.patch)
        return Cut(
            image=_part(case.image, region),
            classes=_part(case.classes[None], region)[0],
            centre=centre - region[:, 0],
            matrix=matrix,
            mirrored=draw_mirrored(self.settings, len(self.patch), chance),
        )

    def _case_of(self, number: int) -> int:
        """Every case once before any comes again, in an order that differs from round to round."""
        new = len(self.cases) - self.replayed
        if not self.replayed:
            return self._in_turn(number, new)
        return new + self._in_turn(number // 2, self.replayed) if number % 2 else self._in_turn(number // 2, new)

    def _in_turn(self, number: int, count: int) -> int:
        turn, place = divmod(number, count)
        return int(np.random.default_rng((self.seed, 1_000_003, turn)).permutation(count)[place])

    def _centre(self, chance: np.random.Generator, case: CachedCase) -> NDArray[np.float64]:
        size, patch = np.array(case.classes.shape), np.array(self.patch)
        low, high = np.minimum(patch, size) / 2 - 0.5, size - 0.5 - np.minimum(patch, size) / 2
        if chance.random() < self.settings.foreground_share and case.foreground:
            places = case.foreground[int(chance.integers(len(case.foreground)))]
            at = (
                places[int(chance.integers(len(places)))].astype(np.float64)
                + chance.uniform(-0.1, 0.1, len(patch)) * patch
            )
        else:
            at = chance.uniform(low, np.maximum(high, low))
        at = np.clip(at, low, np.maximum(high, low))
        # whole-voxel placement where the patch is not turned keeps voxels as they are
        placed: NDArray[np.float64] = np.where(patch % 2 == 0, np.floor(at) + 0.5, np.round(at))
        return placed


def _region(
    centre: NDArray[np.float64], matrix: NDArray[np.float64] | None, patch: tuple[int, ...]
) -> NDArray[np.int64]:
    """First and last+1 voxel per axis that the patch touches; may reach outside the case."""
    half = (np.array(patch) - 1) / 2
    reach = half if matrix is None else np.abs(matrix) @ half + 1
    return np.stack([np.floor(centre - reach + 1e-6), np.ceil(centre + reach - 1e-6) + 1], axis=1).astype(np.int64)


def _part(voxels: NDArray[Any], region: NDArray[np.int64]) -> Tensor:
    """``voxels[:, region]``, zeros where the region leaves the case."""
    size = np.array(voxels.shape[1:])
    inner = np.clip(region, 0, size[:, None])
    part = np.array(voxels[(slice(None), *(slice(a, b) for a, b in inner))], order="C")
    part = part.astype(np.int32) if part.dtype == np.uint16 else part  # torch does little with uint16
    outside = [
        int(n)
        for axis in reversed(range(len(size)))
        for n in (inner[axis, 0] - region[axis, 0], region[axis, 1] - inner[axis, 1])
    ]
    return functional.pad(torch.from_numpy(part), outside)
