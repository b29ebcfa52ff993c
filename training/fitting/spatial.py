"""How training patches are turned, scaled and mirrored: one affine map in millimetres, read in one interpolation.

A patch is read through its map straight from the preprocessed case, so rotation and scaling see the real surroundings
instead of a padded border, and the image is interpolated once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

COARSE = 2.0  # times the finest spacing
AT_ONCE = 8  # labels that are read together: bounds memory where there are a hundred
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class SpatialSettings:
    """How patches are drawn; angles in degrees."""

    foreground_share: float = 0.5  # of patches centred on a voxel of a label drawn uniformly
    turn_share: float = 0.6  # of patches rotated and scaled
    degrees: float = 20.0  # largest rotation about each axis
    scale: tuple[float, float] = (0.8, 1.25)
    flips: tuple[bool, ...] = (True, True, True)  # axes that may be mirrored
    spacing: tuple[float, ...] = (1.0, 1.0, 1.0)  # mm a voxel: a rotation of the patient is none of the voxels


@dataclass(frozen=True)
class Cut:
    """The part of a case that a patch is read from, and how.

    ``matrix`` maps steps of patch voxels to steps of case voxels, about ``centre`` in voxels of the cut; without one
    the cut is the patch.
    """

    image: Tensor  # (C, *cut) float16
    classes: Tensor  # (*cut) of the cache's unsigned type
    centre: Matrix  # (axes,)
    matrix: Matrix | None  # (axes, axes)
    mirrored: tuple[int, ...]  # spatial axes


def read(cuts: Sequence[Cut], patch: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor]:
    """Images (N, C, *patch) float32 and classes (N, *patch) int64, interpolated on ``device``."""
    images, truths = zip(*(_read_one(cut, patch, device) for cut in cuts), strict=True)
    return torch.stack(images), torch.stack(truths)


def draw_map(settings: SpatialSettings, axes: int, chance: np.random.Generator) -> Matrix | None:
    """From patch voxels to case voxels: a rotation and scaling in millimetres; None leaves the patch as it is."""
    if chance.random() >= settings.turn_share:
        return None
    spacing = np.array(settings.spacing[:axes])
    matrix: Matrix = np.eye(axes) / np.exp(chance.uniform(*np.log(settings.scale)))
    for plane in _planes(spacing):
        matrix = matrix @ _rotation(axes, plane, chance.uniform(-settings.degrees, settings.degrees))
    in_voxels: Matrix = matrix * spacing / spacing[:, None]
    return in_voxels


def draw_mirrored(settings: SpatialSettings, axes: int, chance: np.random.Generator) -> tuple[int, ...]:
    """The spatial axes to mirror along, each allowed one half of the time."""
    return tuple(axis for axis in range(axes) if settings.flips[axis] and chance.random() < 0.5)


def _read_one(cut: Cut, patch: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor]:
    image, classes = cut.image.to(device).float(), cut.classes.to(device)
    if cut.matrix is not None:
        image, classes = _through(image, classes, _grid(cut, patch, classes.shape, device))
    return image.flip([axis + 1 for axis in cut.mirrored]), classes.long().flip(cut.mirrored)


def _grid(cut: Cut, patch: Sequence[int], size: torch.Size, device: torch.device) -> Tensor:
    """Where in the cut each patch voxel is read, as ``grid_sample`` counts: (1, *patch, axes) in -1..1."""
    axes = [torch.arange(side, dtype=torch.float32, device=device) - (side - 1) / 2 for side in patch]
    matrix = torch.as_tensor(cut.matrix, dtype=torch.float32, device=device)
    centre = torch.as_tensor(cut.centre, dtype=torch.float32, device=device)
    at = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1) @ matrix.T + centre
    return ((at + 0.5) / torch.tensor(size, device=device) * 2 - 1).flip(-1)[None]


def _through(image: Tensor, classes: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
    """Image (C, *cut) read linearly at the grid's places, zeros outside, and the class with the largest share there.

    Shares are interpolated as the image is: outlines stay smooth, where the nearest voxel would leave steps.
    """
    values = [value for value in classes.unique().tolist() if value]
    best = torch.zeros(grid.shape[1:-1], dtype=torch.long, device=classes.device)
    largest, together = torch.zeros_like(best, dtype=torch.float32), torch.zeros_like(best, dtype=torch.float32)
    turned = image
    for first in range(0, max(len(values), 1), AT_ONCE):
        group = values[first : first + AT_ONCE]
        layers = [(classes == value)[None].float() for value in group]
        shares = _sampled(torch.cat(layers if first else [image, *layers]), grid)
        if not first:  # the image goes along: places are found once for all that is read together
            turned, shares = shares[: len(image)], shares[len(image) :]
        for value, share in zip(group, shares, strict=True):
            best[share > largest] = value
            torch.maximum(largest, share, out=largest)
            together += share
    return turned, best.masked_fill_(1 - together >= largest, 0)


def _sampled(layers: Tensor, grid: Tensor) -> Tensor:
    """(C, *cut) read linearly at the grid's places: (C, *patch), zeros outside."""
    return functional.grid_sample(layers[None], grid, mode="bilinear", padding_mode="zeros", align_corners=False)[0]


def _planes(spacing: Matrix) -> list[tuple[int, int]]:
    """Planes to rotate in: not those of an axis so coarse that a small angle would leave the few slices there are."""
    fine = np.flatnonzero(spacing < COARSE * spacing.min())
    return list(combinations(fine.tolist(), 2))


def _rotation(axes: int, plane: tuple[int, int], degrees: float) -> Matrix:
    angle = np.deg2rad(degrees)
    turn = np.eye(axes)
    turn[np.ix_(plane, plane)] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn
