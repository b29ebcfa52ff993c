"""From a fingerprint, a device and its memory to everything training needs to know."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import ceil, prod

import torch
from pydantic import BaseModel, ConfigDict, Field

from skipseg.models.errors import PlanError
from skipseg.models.networks.recipes import UNetRecipe
from skipseg.models.plan import Channel, Plan
from skipseg.models.trust import Ranges
from skipseg.training.fingerprint import ChannelIntensities, Fingerprint
from skipseg.training.memory import free_bytes

SMALLEST_BATCH = 2
SMALLEST_BOTTOM = 4  # voxels per axis that the coarsest resolution keeps (Isensee 2021)
OVERLAP = 0.25  # of neighbouring tiles; half of the tile costs up to eight times the tiles
ANISOTROPIC = 2.0  # an axis this much coarser than the finest is neither pooled nor convolved along yet
FEW_CASES = (
    40  # a judgement: with 138 cases mirroring cost a hundredth of Dice in 7 minutes, with six it is most of the data
)
ACTIVATION_COPIES = 18  # of each resolution's features while training: at most 18 seen in fp32, 12 in bf16


class Effort(BaseModel):
    """What a kind of device can do in a sensible time."""

    model_config = ConfigDict(frozen=True)

    patch_voxels: dict[int, int]  # largest patch by dimensions
    batch_voxels: dict[int, int]  # in one step
    widths: dict[int, tuple[int, ...]]


# On a CPU of two cores a step takes 0.6 s (hippocampus) to 1.7 s (brain tumours); a GPU's sizes follow nnU-Net's.
CPU = Effort(
    patch_voxels={2: 256**2, 3: 64**3},
    batch_voxels={2: 4 * 256**2, 3: 4 * 40 * 56 * 40},
    widths={2: (24, 64, 128, 256, 320, 320), 3: (16, 48, 128, 256, 320, 320)},
)
GPU = Effort(
    patch_voxels={2: 512**2, 3: 128**3},
    batch_voxels={2: 12 * 512**2, 3: 2 * 128**3},
    widths={2: (32, 64, 128, 256, 512, 512, 512), 3: (32, 64, 128, 256, 320, 320)},
)


class TrainingPlan(BaseModel):
    """The plan that goes into the bundle, and what only training needs; ``reasons`` tells why, one line a choice."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: Plan
    batch: int = Field(ge=1)
    flips: tuple[bool, ...]  # axes along which patches may be mirrored
    whole_batch_dice: bool
    memory_bytes: int  # expected for activations and weights while training
    ranges: Ranges | None = None  # of the cases measured, for the bundle to remember
    reasons: tuple[str, ...] = ()


def make_plan(
    fingerprint: Fingerprint, device: torch.device, memory: int | None = None, hurried: bool = False
) -> TrainingPlan:
    """Decide patch, batch, depth, widths, spacing, orientation and normalisation.

    ``memory`` in bytes overrides what the device has free; ``hurried`` makes the batch as small as it may be, for more
    steps in little time. Raises ``PlanError`` when not even the smallest patch fits.
    """
    effort = GPU if device.type == "cuda" else CPU
    memory = memory or free_bytes(device)
    spacing = _spacing(fingerprint)
    shape = _shape(fingerprint, spacing)
    voxels = effort.patch_voxels[fingerprint.dimensions]
    while voxels >= 16**fingerprint.dimensions:
        patch, recipe = _network(fingerprint, shape, spacing, voxels, effort)
        batch = SMALLEST_BATCH
        if not hurried:
            batch = min(max(round(effort.batch_voxels[fingerprint.dimensions] / prod(patch)), batch), 16)
        needed = training_bytes(recipe, patch, batch)
        if needed <= 0.7 * memory:
            return _told(fingerprint, spacing, shape, patch, recipe, batch, needed, device)
        voxels //= 2
    raise PlanError(
        f"not even a small patch fits into {memory / 2**30:.1f} GiB; free memory or train on another device"
    )


def training_bytes(recipe: UNetRecipe, patch: Sequence[int], batch: int) -> int:
    """Memory of one step: activations of every resolution, weights with gradients, average and AdamW's moments."""
    activations, side = 0.0, [float(length) for length in patch]
    for width, stride in zip(recipe.widths, recipe.strides, strict=True):
        side = [length / step for length, step in zip(side, stride, strict=True)]
        activations += width * prod(side) * ACTIVATION_COPIES * 4
    kernel = 3**recipe.dimensions
    weights = sum(
        3 * kernel * came * goes for came, goes in zip((recipe.channels, *recipe.widths), recipe.widths, strict=False)
    )
    return int(batch * activations + 5 * 4 * weights)


def explain(training: TrainingPlan) -> str:
    """The plan's choices for a person, one line each."""
    return "\n".join(f"  - {reason}" for reason in training.reasons)


def _told(
    fingerprint: Fingerprint,
    spacing: tuple[float, ...] | None,
    shape: Sequence[float],
    patch: tuple[int, ...],
    recipe: UNetRecipe,
    batch: int,
    needed: int,
    device: torch.device,
) -> TrainingPlan:
    plan = Plan(
        dimensions=fingerprint.dimensions,
        channels=tuple(_channel(channel) for channel in fingerprint.channels),
        orientation=None if _pictures(fingerprint) else fingerprint.orientation,
        spacing=spacing,
        crop_to_content=fingerprint.content.median < 0.75,
        tile=patch,
        overlap=OVERLAP,
        network=recipe,
    )
    flips = mirrored(fingerprint)
    reasons = (
        f"{plan.dimensions}D network: "
        + ("every scan is a single slice" if plan.dimensions == 2 else "scans have several slices"),
        f"orientation {plan.orientation or 'as stored'}"
        + (": most scans have it" if plan.orientation else ": pictures have none"),
        f"spacing {_mm(spacing)}: the median of the cases" if spacing else "spacing as it comes: pictures carry none",
        *(_why_normalised(channel) for channel in plan.channels),
        "scans are cropped to what is not background: that is most of them"
        if plan.crop_to_content
        else "scans are not cropped: little of them is background",
        f"patch {'x'.join(map(str, patch))} voxels of a median scan of {'x'.join(str(round(side)) for side in shape)}",
        f"batch {batch}: about {needed / 2**30:.2f} GiB on {device.type} while training",
        f"{len(recipe.widths)} resolutions of {recipe.widths} features, strides {recipe.strides[1:]}",
        _why_mirrored(fingerprint, flips),
    )
    return TrainingPlan(
        plan=plan, batch=batch, flips=flips, whole_batch_dice=plan.dimensions == 2, memory_bytes=needed, reasons=reasons
    )


def _spacing(fingerprint: Fingerprint) -> tuple[float, ...] | None:
    """The median spacing; pictures keep their own, and a slice axis that is much coarser is not smoothed further."""
    if not fingerprint.spacing_given:
        return None
    return tuple(round(axis.median, 6) for axis in fingerprint.spacing[: fingerprint.dimensions])


def _shape(fingerprint: Fingerprint, spacing: tuple[float, ...] | None) -> list[float]:
    """The median scan on the network's grid, the empty border cut away."""
    share = fingerprint.content.median ** (1 / fingerprint.dimensions) if fingerprint.content.median < 0.75 else 1.0
    found = zip(fingerprint.shape, fingerprint.spacing, strict=True)
    native = [(size.median, mm.median) for size, mm in found][: fingerprint.dimensions]
    return [
        size * share * (mm / target)
        for (size, mm), target in zip(native, spacing or [mm for _, mm in native], strict=True)
    ]


def _network(
    fingerprint: Fingerprint, shape: Sequence[float], spacing: tuple[float, ...] | None, voxels: int, effort: Effort
) -> tuple[tuple[int, ...], UNetRecipe]:
    millimetres = list(spacing or (1.0,) * fingerprint.dimensions)
    wanted = _patch(shape, millimetres, voxels)
    strides, kernels = _pyramid(wanted, millimetres, len(effort.widths[fingerprint.dimensions]))
    total = [prod(stride[axis] for stride in strides) for axis in range(fingerprint.dimensions)]
    patch = tuple(_multiple(side, step) for side, step in zip(wanted, total, strict=True))
    depth = len(strides)
    recipe = UNetRecipe(
        dimensions=fingerprint.dimensions,
        channels=len(fingerprint.channels),
        classes=len(fingerprint.labels) + 1,
        widths=effort.widths[fingerprint.dimensions][:depth],
        strides=tuple(strides),
        kernels=tuple(kernels),
        blocks=(0, *(1,) * (depth - 1)),
    )
    return patch, recipe


def _patch(shape: Sequence[float], spacing: Sequence[float], voxels: int) -> list[float]:
    """The median scan, its longest sides (in mm) shortened until at most ``voxels`` are left."""
    sides = [max(float(side), 1.0) for side in shape]
    while prod(sides) > voxels:
        longest = max(range(len(sides)), key=lambda axis: sides[axis] * spacing[axis] if sides[axis] > 1 else 0)
        sides[longest] = max(sides[longest] * 0.97, 1.0)
    return sides


def _pyramid(
    patch: Sequence[float], spacing: Sequence[float], most: int
) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """Strides and kernels per resolution: halve an axis while it is long and not much coarser than the others."""
    sides, millimetres = list(patch), list(spacing)
    strides, kernels = [(1,) * len(sides)], [_kernel(millimetres, sides)]
    while len(strides) < most:
        finest = min(
            (mm for mm, side in zip(millimetres, sides, strict=True) if side >= 2 * SMALLEST_BOTTOM), default=0.0
        )
        stride = tuple(
            2 if side >= 2 * SMALLEST_BOTTOM and mm < ANISOTROPIC * finest else 1
            for side, mm in zip(sides, millimetres, strict=True)
        )
        if not any(step > 1 for step in stride):
            break
        sides = [side / step for side, step in zip(sides, stride, strict=True)]
        millimetres = [mm * step for mm, step in zip(millimetres, stride, strict=True)]
        strides.append(stride)
        kernels.append(_kernel(millimetres, sides))
    if len(strides) == 1:
        raise PlanError(
            f"scans of {[round(side) for side in patch]} voxels are too small for a U-Net; "
            "at least 8 along one axis are needed"
        )
    return strides, kernels


def _kernel(spacing: Sequence[float], sides: Sequence[float]) -> tuple[int, ...]:
    return tuple(
        3 if mm < ANISOTROPIC * min(spacing) and side > 1 else 1 for mm, side in zip(spacing, sides, strict=True)
    )


def _multiple(side: float, step: int) -> int:
    """``side`` rounded up to a multiple of ``step``."""
    return max(ceil(side / step) * step, step)


def _channel(measured: ChannelIntensities) -> Channel:
    if not measured.is_ct:
        return Channel(name=measured.name)
    return Channel(
        name=measured.name,
        normalisation="fixed",
        low=measured.percentile_00_5,
        high=measured.percentile_99_5,
        mean=measured.mean,
        std=max(measured.std, 1e-6),
    )


def _why_normalised(channel: Channel) -> str:
    if channel.normalisation == "fixed":
        return (
            f"channel {channel.name}: clipped to {channel.low:.4g}..{channel.high:.4g} and normalised alike in every "
            "scan, since CT numbers are absolute"
        )
    return f"channel {channel.name}: by each scan's own mean and deviation, as scanners scale differently"


SIDED = re.compile(r"(^|[^a-z])(left|right|l|r|lh|rh)([^a-z]|$)", re.IGNORECASE)


def _pictures(fingerprint: Fingerprint) -> bool:
    """Whether the scans are pictures, which lie nowhere in a patient: a single slice of an MR scan is none."""
    return fingerprint.dimensions == 2 and not fingerprint.spacing_given


def mirrored(fingerprint: Fingerprint) -> tuple[bool, ...]:
    """Which axes training may mirror: of pictures all, since they have no up. Scans lie in the patient's axes, where
    mirror images do not occur, but for left-right, which helps where cases are few and no label names a side."""
    if _pictures(fingerprint):
        return (True, True)
    sided = any(SIDED.search(label.name) for label in fingerprint.labels)
    helps = fingerprint.cases < FEW_CASES and not sided
    return tuple(helps and code in "LR" for code in fingerprint.orientation[: fingerprint.dimensions])


def _why_mirrored(fingerprint: Fingerprint, flips: tuple[bool, ...]) -> str:
    if _pictures(fingerprint):
        return "mirroring along both axes: pictures have no up"
    if any(flips):
        return f"mirroring left-right: fewer than {FEW_CASES} cases, and no label names a side"
    return "no mirroring: scans are turned to the patient's axes, where mirror images do not occur"


def _mm(spacing: Sequence[float]) -> str:
    return "x".join(f"{mm:.4g}" for mm in spacing) + " mm"
