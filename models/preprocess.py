"""From a scan to network input: turned to the plan's orientation, cropped, normalised and resampled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod, sqrt

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skipseg.models.errors import ScanUnusable
from skipseg.models.plan import Channel, Plan
from skipseg.models.resample import resample
from skipseg.models.scans.content import Box, box_of, content
from skipseg.models.scans.geometry import Geometry, Scalar, Turn, as_millimetres
from skipseg.models.scans.limits import DEFAULT_LIMITS, Limits
from skipseg.models.scans.roi import Roi
from skipseg.models.scans.volume import Volume

CHUNK_VOXELS = 2**18  # summed at once in double precision, which stays in a processor's cache
QUICK_VOXELS = 2**15  # of a small scan: torch asks no second thread for so few, which would wait for a busy core
MOST_GROWTH = 27  # network voxels per voxel of the scan: three times finer along every axis
SMALL = 2**18  # voxels of a scan that may grow further, since it stays small
RANKED = 2**20  # values that percentiles are taken of, evenly strided: more would be sorted for the same figures


@dataclass(frozen=True)
class Placement:
    """How the network's grid lies in the scan's."""

    geometry: Geometry  # of the scan
    turn: Turn
    box: Box  # of the turned scan that the network sees
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


@dataclass(frozen=True)
class Located:
    """A volume, turned, and where the network's grid lies in it; nothing large was made yet."""

    turned: NDArray[np.float32]  # (channels, X, Y, Z), a view
    where: NDArray[np.bool_] | None  # its content (X, Y, Z), where the plan crops to it
    measured: Box  # whose intensities normalise what the network sees, which may be less
    placement: Placement


def prepare(volume: Volume, plan: Plan, limits: Limits = DEFAULT_LIMITS, roi: Roi | None = None) -> Prepared:
    """Take a volume to the network's grid; raises as ``locate`` does.

    Takes the memory of one copy of what is measured, and of two more of what the network sees while it is resampled.
    """
    return fill(locate(volume, plan, limits, roi), plan)


def locate(volume: Volume, plan: Plan, limits: Limits = DEFAULT_LIMITS, roi: Roi | None = None) -> Located:
    """Decide how the network's grid lies in a volume, or in a part of it.

    A ``roi`` is normalised as the whole scan is, so that its labels do not depend on how it is cut. Raises
    ``ScanUnusable`` when the channels differ from the plan's, the scan does not hold the ``roi``, or it is so much
    coarser than the plan that its header must be wrong; ``ScanTooLarge`` when the network would need more memory than
    ``limits`` allow.
    """
    if volume.channels != len(plan.channels):
        names = ", ".join(channel.name for channel in plan.channels)
        raise ScanUnusable(f"this model needs {len(plan.channels)} channels ({names}); the scan has {volume.channels}")
    turn = volume.geometry.turn_to(plan.orientation or volume.geometry.orientation)
    turned = turn.apply(volume.voxels)
    where = content(turned) if plan.crop_to_content else None
    box = _whole(turned) if where is None else box_of(where)
    seen = box if roi is None else _common(box, roi.within(volume.geometry.shape, turn))
    return Located(turned, where, box, place(volume.geometry, turn, seen, plan, limits))


def fill(located: Located, plan: Plan) -> Prepared:
    """Network input; raises ``ScanUnusable`` when a channel is constant."""
    turned, where, placement = located.turned, located.where, located.placement
    image = torch.from_numpy(np.array(turned[(..., *located.measured)], order="C"))
    measured = None if where is None else torch.from_numpy(where[located.measured])
    for values, how in zip(image, plan.channels, strict=True):
        _normalise(values, how, measured)
    del values  # a view, which would hold all that a roi leaves out
    image = image[(slice(None), *_relative(placement.box, located.measured))].contiguous()
    return Prepared(resample(image, placement.grid), placement)


def prepare_labels(classes: NDArray[np.integer], placement: Placement) -> NDArray[np.unsignedinteger]:
    """Class indices (X, Y, Z) on the scan's grid, taken to the network's: linear per class, the largest wins.

    They come back as uint8, or as uint16 where a class above 255 occurs in the scan. A class that wins nowhere, since
    the network's voxels are larger than all it has, gets the one voxel where it holds most.
    """
    kind = _indices(int(classes.max()) + 1)
    inside = np.ascontiguousarray(_inside(classes, placement))
    if inside.shape == placement.grid:
        return inside.astype(kind)
    best: NDArray[np.float32] = np.zeros(placement.grid, dtype=np.float32)
    winner: NDArray[np.unsignedinteger] = np.zeros(placement.grid, dtype=kind)
    summits: dict[int, int] = {}  # of each class, where it holds most
    for value in np.unique(inside):
        share = resample(torch.from_numpy((inside == value).astype(np.float32))[None], placement.grid)[0].numpy()
        better = share > best
        winner[better], best[better] = value, share[better]
        summits[int(value)] = int(share.argmax())
    for value in summits.keys() - set(np.unique(winner).tolist()):
        winner.flat[summits[value]] = value
    return winner


def place(geometry: Geometry, turn: Turn, box: Box, plan: Plan, limits: Limits) -> Placement:
    """Decide how the network's grid lies in the scan's; raises as ``prepare`` does."""
    spacing = turn.moved(geometry.spacing)
    grid = [side.stop - side.start for side in box]
    for axis, target in enumerate(plan.spacing or ()):
        grid[axis] = max(round(grid[axis] * spacing[axis] / target), 1)
    if prod(grid) > MOST_GROWTH * max(prod(geometry.shape), SMALL):
        raise ScanUnusable(
            f"the scan's spacing {as_millimetres(spacing)} mm is so much coarser than the model's "
            f"{as_millimetres(plan.spacing or ())} mm that it would grow to {grid} voxels; check the scan's header"
        )
    limits.check_network((grid[0], grid[1], grid[2]), len(plan.channels), plan.network.classes)
    return Placement(geometry, turn, box, (grid[0], grid[1], grid[2]))


def _inside(voxels: NDArray[Scalar], placement: Placement) -> NDArray[Scalar]:
    return placement.turn.apply(voxels)[(..., *placement.box)]


def _whole(voxels: NDArray[np.float32]) -> Box:
    x, y, z = voxels.shape[1:]
    return slice(0, x), slice(0, y), slice(0, z)


def _common(box: Box, other: Box) -> Box:
    """What lies in two boxes."""
    x, y, z = (slice(max(a.start, b.start), min(a.stop, b.stop)) for a, b in zip(box, other, strict=True))
    if min(x.stop - x.start, y.stop - y.start, z.stop - z.start) < 1:
        raise ScanUnusable("the roi holds nothing but the empty background around the scan's content; choose another")
    return x, y, z


def _relative(box: Box, within: Box) -> tuple[slice, ...]:
    """Where a box lies in another one."""
    return tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(box, within, strict=True))


def _indices(classes: int) -> type[np.uint8] | type[np.uint16]:
    return np.uint8 if classes <= 256 else np.uint16


def _normalise(values: Tensor, how: Channel, where: Tensor | None) -> None:
    """Normalise one channel (X, Y, Z) in place; its own mean and deviation are those of the voxels ``where``."""
    if how.normalisation == "fixed":
        values.clamp_(how.low, how.high).sub_(how.mean).div_(how.std)
        return
    if how.clip_percent is not None:
        values.clamp_(*percentiles(values, where, how.clip_percent))
    mean, std = _moments(values, where)
    if not std > 1e-6 * max(abs(mean), 1e-30):
        raise ScanUnusable(f"every voxel of channel {how.name!r} has the same value; nothing can be segmented in it")
    for chunk in _chunks(values):
        chunk.copy_((chunk.double() - mean) / std)


def percentiles(values: Tensor, where: Tensor | None, percent: tuple[float, float]) -> tuple[float, float]:
    """Two percentiles of a channel (X, Y, Z), of the voxels ``where``."""
    counted = values.flatten() if where is None else values[where]
    if counted.numel() == 0:
        return -np.inf, np.inf
    low, high = np.percentile(counted[:: max(counted.numel() // RANKED, 1)].numpy(), percent)
    return float(low), float(high)


def _moments(values: Tensor, where: Tensor | None) -> tuple[float, float]:
    """Mean and standard deviation, summed in double so that 1e7 voxels or 1e9 intensities keep their digits."""
    count = values.numel() if where is None else int(where.count_nonzero())
    if count == 0:
        return 0.0, 0.0
    mean = sum(part.sum().item() for part in _measured(values, where)) / count
    variance = sum((part - mean).square().sum().item() for part in _measured(values, where)) / count
    return mean, sqrt(variance)


def _measured(values: Tensor, where: Tensor | None) -> Iterator[Tensor]:
    """The voxels of (X, Y, Z) that count, in double, a chunk at a time."""
    if where is None:
        return (chunk.double() for chunk in _chunks(values))
    return (chunk[inside].double() for chunk, inside in zip(_chunks(values), _chunks(where), strict=True))


def _chunks(values: Tensor) -> Iterator[Tensor]:
    """Views of a few rows each, so that what is computed of one stays small."""
    most = QUICK_VOXELS if values.numel() < CHUNK_VOXELS else CHUNK_VOXELS
    rows = max(most // values[0].numel(), 1)
    return (values[start : start + rows] for start in range(0, len(values), rows))
