"""Training patches: where they are cut, turned and scaled, straight from the preprocessed case.

A patch is read through one affine map from patch voxels to case voxels, so rotation and scaling see the real
surroundings instead of a padded border, and the image is interpolated once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from skipseg.training.cache import CachedCase, CaseFiles

COARSE = 2.0  # times the finest spacing


@dataclass(frozen=True)
class SpatialSettings:
    """How patches are drawn; angles in degrees."""

    foreground_share: float = 0.5  # of patches centred on a voxel of a label drawn uniformly
    turn_share: float = 0.3  # of patches rotated and scaled
    degrees: float = 20.0  # largest rotation about each axis
    scale: tuple[float, float] = (0.8, 1.25)
    flips: tuple[bool, ...] = (True, True, True)  # axes that may be mirrored
    spacing: tuple[float, ...] = (1.0, 1.0, 1.0)  # mm a voxel: a rotation of the patient is none of the voxels


class PatchSampler:
    """Draws batches; batch ``step`` of a seed is always the same, whichever process draws it."""

    def __init__(
        self,
        cases: Sequence[CachedCase | CaseFiles],
        patch: tuple[int, ...],
        batch: int,
        seed: int,
        settings: SpatialSettings,
    ) -> None:
        self.cases = cases
        self.patch = patch
        self.batch = batch
        self.seed = seed
        self.settings = settings

    def draw(self, step: int) -> tuple[Tensor, Tensor]:
        """Images (N, C, *patch) float32 and classes (N, *patch) int64 of one step."""
        chance = np.random.default_rng((self.seed, step))
        drawn = [self._patch(chance, (step * self.batch + i)) for i in range(self.batch)]
        return torch.stack([image for image, _ in drawn]), torch.stack([classes for _, classes in drawn])

    def _patch(self, chance: np.random.Generator, number: int) -> tuple[Tensor, Tensor]:
        case = self.cases[self._case_of(number)].open()
        case = case.slice(chance, self.settings.foreground_share) if len(self.patch) == 2 else case
        centre = self._centre(chance, case)
        matrix = self._matrix(chance)
        region = _region(centre, matrix, self.patch)
        image, classes = _cut(case.image, region), _cut(case.classes[None], region)
        image, classes = _through(image, classes, centre - region[:, 0], matrix, self.patch)
        mirrored = [
            axis
            for axis, allowed in enumerate(self.settings.flips[: len(self.patch)])
            if allowed and chance.random() < 0.5
        ]
        return image.flip([axis + 1 for axis in mirrored]), classes.flip(mirrored)

    def _case_of(self, number: int) -> int:
        """Every case once before any comes again, in an order that differs from round to round."""
        turn, place = divmod(number, len(self.cases))
        return int(np.random.default_rng((self.seed, 1_000_003, turn)).permutation(len(self.cases))[place])

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

    def _matrix(self, chance: np.random.Generator) -> NDArray[np.float64] | None:
        """From patch voxels to case voxels: a rotation and scaling in millimetres; None leaves the patch as it is."""
        if chance.random() >= self.settings.turn_share:
            return None
        count = len(self.patch)
        spacing = np.array(self.settings.spacing[:count])
        matrix: NDArray[np.float64] = np.eye(count) / np.exp(chance.uniform(*np.log(self.settings.scale)))
        for plane in _planes(spacing):
            matrix = matrix @ _rotation(count, plane, chance.uniform(-self.settings.degrees, self.settings.degrees))
        in_voxels: NDArray[np.float64] = matrix * spacing / spacing[:, None]
        return in_voxels


def _planes(spacing: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Planes to rotate in: not those of an axis so coarse that a small angle would leave the few slices there are."""
    fine = np.flatnonzero(spacing < COARSE * spacing.min())
    return list(combinations(fine.tolist(), 2))


def _rotation(count: int, plane: tuple[int, int], degrees: float) -> NDArray[np.float64]:
    angle = np.deg2rad(degrees)
    turn = np.eye(count)
    turn[np.ix_(plane, plane)] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn


def _region(
    centre: NDArray[np.float64], matrix: NDArray[np.float64] | None, patch: tuple[int, ...]
) -> NDArray[np.int64]:
    """First and last+1 voxel per axis that the patch touches; may reach outside the case."""
    half = (np.array(patch) - 1) / 2
    reach = half if matrix is None else np.abs(matrix) @ half + 1
    return np.stack([np.floor(centre - reach + 1e-6), np.ceil(centre + reach - 1e-6) + 1], axis=1).astype(np.int64)


def _cut(voxels: NDArray[Any], region: NDArray[np.int64]) -> Tensor:
    """``voxels[:, region]``, zeros where the region leaves the case."""
    size = np.array(voxels.shape[1:])
    inner = np.clip(region, 0, size[:, None])
    part = np.array(voxels[(slice(None), *(slice(a, b) for a, b in inner))], dtype=np.float32, order="C")
    outside = [
        int(n)
        for axis in reversed(range(len(size)))
        for n in (inner[axis, 0] - region[axis, 0], region[axis, 1] - inner[axis, 1])
    ]
    return functional.pad(torch.from_numpy(part), outside)


def _through(
    image: Tensor,
    classes: Tensor,
    centre: NDArray[np.float64],
    matrix: NDArray[np.float64] | None,
    patch: tuple[int, ...],
) -> tuple[Tensor, Tensor]:
    """Read the patch through the map; image linear, classes nearest."""
    if matrix is None:
        return image, classes[0].long()
    axes = [torch.arange(side, dtype=torch.float32) - (side - 1) / 2 for side in patch]
    at = (
        torch.stack(torch.meshgrid(*axes, indexing="ij"), -1) @ torch.from_numpy(matrix.T).float()
        + torch.from_numpy(centre).float()
    )
    size = torch.tensor(image.shape[1:], dtype=torch.float32)
    grid = ((at + 0.5) / size * 2 - 1).flip(-1)[None]
    turned = functional.grid_sample(image[None], grid, mode="bilinear", padding_mode="zeros", align_corners=False)[0]
    nearest = functional.grid_sample(classes[None], grid, mode="nearest", padding_mode="zeros", align_corners=False)[
        0, 0
    ]
    return turned, nearest.long()
