"""From a scan to network input, and the exact way back.

On the way in the scan is turned to the plan's orientation, cropped, normalised and resampled. On the way out the
network's scores are interpolated onto the turned and cropped scan, the largest wins, and crop and turn are undone, so
that every voxel of the scan gets exactly one label and the grid of the mask is the grid of the scan.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skipseg.models.errors import ScanUnusable
from skipseg.models.plan import Channel, Plan
from skipseg.models.resample import resample, resample_rows
from skipseg.models.scans.content import content, content_box
from skipseg.models.scans.geometry import Geometry, Scalar, Turn
from skipseg.models.scans.limits import DEFAULT_LIMITS
from skipseg.models.scans.volume import Volume

SLAB_VOXELS = 2**22  # interpolated at once on the way out: 16 MiB a class


@dataclass(frozen=True)
class Placement:
    """How the network's grid lies in the scan's."""

    geometry: Geometry  # of the scan
    turn: Turn
    box: tuple[slice, slice, slice]  # of the turned scan that the network sees
    grid: tuple[int, int, int]  # network voxels along each axis of the box

    @property
    def box_shape(self) -> tuple[int, int, int]:
        x, y, z = (side.stop - side.start for side in self.box)
        return x, y, z


@dataclass(frozen=True)
class Prepared:
    """Network input (channels, X, Y, Z) on the network's grid, and the way back."""

    image: Tensor
    placement: Placement


def prepare(volume: Volume, plan: Plan) -> Prepared:
    """Take a volume to the network's grid.

    Raises ``ScanUnusable`` when the channels differ from the plan's, a channel is constant, or the scan is so much
    coarser or finer than the plan that the result would not fit in memory.
    """
    if volume.channels != len(plan.channels):
        names = ", ".join(channel.name for channel in plan.channels)
        raise ScanUnusable(f"this model needs {len(plan.channels)} channels ({names}); the scan has {volume.channels}")
    placement = place(volume, plan)
    inside = np.ascontiguousarray(_inside(volume.voxels, placement))
    measured = torch.from_numpy(content(inside)) if plan.crop_to_content else None
    image = torch.from_numpy(inside)
    image = torch.stack([_normalise(values, how, measured) for values, how in zip(image, plan.channels, strict=True)])
    return Prepared(resample(image, placement.grid), placement)


def prepare_labels(classes: NDArray[np.integer], placement: Placement) -> NDArray[np.uint8]:
    """Class indices (X, Y, Z) on the scan's grid, taken to the network's: linear per class, the largest wins."""
    inside = np.ascontiguousarray(_inside(classes, placement))
    if inside.shape == placement.grid:
        return inside.astype(np.uint8)
    best = torch.zeros(placement.grid)
    winner = torch.zeros(placement.grid, dtype=torch.uint8)
    for value in np.unique(inside):
        share = resample(torch.from_numpy((inside == value).astype(np.float32))[None], placement.grid)[0]
        better = share > best
        winner[better], best[better] = int(value), share[better]
    return winner.numpy()


def restore(scores: Tensor, placement: Placement) -> NDArray[np.uint16]:
    """Class scores (classes, *network grid) to class indices (X, Y, Z) on the scan's own grid; outside the box is 0."""
    turned_shape = placement.geometry.turned(placement.turn).shape
    turned = np.zeros(turned_shape, dtype=np.uint8 if len(scores) <= 256 else np.uint16)
    turned[placement.box] = _largest(scores, placement.box_shape)
    return np.ascontiguousarray(placement.turn.undo(turned))


def place(volume: Volume, plan: Plan) -> Placement:
    """Decide how the network's grid lies in the scan's."""
    turn = volume.geometry.turn_to(plan.orientation or volume.geometry.orientation)
    turned = volume.geometry.turned(turn)
    box = content_box(turn.apply(volume.voxels)) if plan.crop_to_content else _whole(turned.shape)
    grid = [side.stop - side.start for side in box]
    for axis, target in enumerate(plan.spacing or ()):
        grid[axis] = max(round(grid[axis] * turned.spacing[axis] / target), 1)
    if prod(grid) > 64 * max(prod(turned.shape), 2**18):
        raise ScanUnusable(
            f"the scan's spacing {_mm(turned.spacing)} mm is so much coarser than the model's "
            f"{_mm(plan.spacing or ())} mm that it would grow to {grid} voxels; check the scan's header"
        )
    DEFAULT_LIMITS.check_shape((grid[0], grid[1], grid[2]))
    return Placement(volume.geometry, turn, box, (grid[0], grid[1], grid[2]))


def _inside(voxels: NDArray[Scalar], placement: Placement) -> NDArray[Scalar]:
    return placement.turn.apply(voxels)[(..., *placement.box)]


def _whole(shape: tuple[int, int, int]) -> tuple[slice, slice, slice]:
    return slice(0, shape[0]), slice(0, shape[1]), slice(0, shape[2])


def _normalise(values: Tensor, how: Channel, where: Tensor | None) -> Tensor:
    if how.normalisation == "fixed":
        return (values.clamp(how.low, how.high) - how.mean) / how.std
    measured = values if where is None else values[where]
    mean, std = _moments(measured)
    if not std > 1e-6 * max(abs(mean), 1e-30):
        raise ScanUnusable(f"every voxel of channel {how.name!r} has the same value; nothing can be segmented in it")
    return ((values.double() - mean) / std).float() if abs(mean) > 1e4 * std else (values - mean) / std


def _moments(values: Tensor) -> tuple[float, float]:
    """Mean and standard deviation, summed in double so that 1e7 voxels or 1e9 intensities keep their digits."""
    if values.numel() == 0:
        return 0.0, 0.0
    mean = values.sum(dtype=torch.float64).item() / values.numel()
    return mean, float((values.double() - mean).square().mean().sqrt())


def _largest(scores: Tensor, shape: tuple[int, int, int]) -> NDArray[np.unsignedinteger]:
    """The class of the largest interpolated score, slab by slab and class by class: never all classes at full size."""
    result = np.empty(shape, dtype=np.uint8 if len(scores) <= 256 else np.uint16)
    rows = max(SLAB_VOXELS // (shape[1] * shape[2]), 1)
    for start in range(0, shape[0], rows):
        slab = slice(start, min(start + rows, shape[0]))
        result[slab] = _largest_in_slab(scores, shape, slab).cpu().numpy()
    return result


def _largest_in_slab(scores: Tensor, shape: tuple[int, int, int], slab: slice) -> Tensor:
    best = resample_rows(scores[:1], shape, slab)[0].clone()
    winner = torch.zeros(best.shape, dtype=torch.uint8 if len(scores) <= 256 else torch.int32, device=scores.device)
    for index in range(1, len(scores)):
        score = resample_rows(scores[index : index + 1], shape, slab)[0]
        winner.masked_fill_(score > best, index)
        torch.maximum(best, score, out=best)
    return winner


def _mm(spacing: tuple[float, ...]) -> str:
    return "x".join(f"{mm:.4g}" for mm in spacing)
