"""The plan of a retrained model: the base's, as long as the data fit it; only batch and mirroring are decided anew."""

from __future__ import annotations

from math import prod

import torch

from skipseg.models.errors import PlanError
from skipseg.models.plan import Channel, Plan
from skipseg.training.fingerprint import ChannelIntensities, Fingerprint
from skipseg.training.memory import free_bytes
from skipseg.training.planner import CPU, GPU, SMALLEST_BATCH, TrainingPlan, mirrored, training_bytes

LEAST_OVERLAP = 0.1  # of two ranges of CT numbers, as a share of the wider one; less is another unit or another tissue
OTHER_SPACING = 2.0  # times the base's: worth a word, since scans are resampled to it
ADVICE = "train without --from, or go on from a bundle made of such data"


def keep_plan(
    base: Plan, fingerprint: Fingerprint, device: torch.device, memory: int | None = None, hurried: bool = False
) -> TrainingPlan:
    """The batch and the mirroring for a network that is there already; ``memory`` in bytes overrides what is free.

    Raises ``PlanError`` when the data do not fit the plan, or a batch of one does not fit into memory.
    """
    check_fit(base, fingerprint)
    memory = memory or free_bytes(device)
    batch = _batch(base, device, memory, hurried)
    needed = training_bytes(base.network, base.tile, batch)
    flips = mirrored(fingerprint)
    reasons = (
        f"orientation, spacing, normalisation, tile {'x'.join(map(str, base.tile))} and network: the base's",
        *_other_spacing(base, fingerprint),
        f"batch {batch}: about {needed / 2**30:.2f} GiB on {device.type} while training",
        "mirroring along " + ", ".join(str(axis) for axis, flip in enumerate(flips) if flip)
        if any(flips)
        else "no mirroring",
    )
    return TrainingPlan(
        plan=base, batch=batch, flips=flips, whole_batch_dice=base.dimensions == 2, memory_bytes=needed, reasons=reasons
    )


def check_fit(base: Plan, fingerprint: Fingerprint) -> None:
    """Raise ``PlanError`` for data that a plan was not made for."""
    pictures = base.dimensions == 2 and base.orientation is None
    if fingerprint.dimensions < base.dimensions or (pictures and fingerprint.dimensions == 3):
        ours = "pictures" if pictures else f"{base.dimensions}D scans"
        theirs = "scans of several slices" if fingerprint.dimensions == 3 else "single slices"
        raise PlanError(f"the base was trained on {ours}, {fingerprint.dataset} holds {theirs}; {ADVICE}")
    for channel, measured in zip(base.channels, fingerprint.channels, strict=True):
        _check_range(channel, measured, fingerprint.dataset)


def _check_range(channel: Channel, measured: ChannelIntensities, dataset: str) -> None:
    """Fixed normalisation clips: values outside its range are all one grey to the network."""
    if channel.normalisation != "fixed":
        return
    low, high = measured.percentile_00_5, measured.percentile_99_5
    wider = max(channel.high - channel.low, high - low, 1e-6)
    if (min(channel.high, high) - max(channel.low, low)) / wider < LEAST_OVERLAP:
        raise PlanError(
            f"the base reads channel {channel.name} from {channel.low:.4g} to {channel.high:.4g}; the labels of "
            f"{dataset} lie from {low:.4g} to {high:.4g}: check that its values are in the same unit (Hounsfield for "
            f"CT), or {ADVICE}"
        )


def _batch(base: Plan, device: torch.device, memory: int, hurried: bool) -> int:
    effort = GPU if device.type == "cuda" else CPU
    wanted = min(max(round(effort.batch_voxels[base.dimensions] / prod(base.tile)), SMALLEST_BATCH), 16)
    for batch in range(SMALLEST_BATCH if hurried else wanted, 0, -1):
        if training_bytes(base.network, base.tile, batch) <= 0.7 * memory:
            return batch
    raise PlanError(
        f"one tile of {'x'.join(map(str, base.tile))} voxels does not fit into {memory / 2**30:.1f} GiB, and a "
        "retrained model keeps its base's tile; free memory or train on another device"
    )


def _other_spacing(base: Plan, fingerprint: Fingerprint) -> list[str]:
    if base.spacing is None or not fingerprint.spacing_given:
        return []
    ours = [axis.median for axis in fingerprint.spacing[: base.dimensions]]
    if all(1 / OTHER_SPACING <= mm / target <= OTHER_SPACING for mm, target in zip(ours, base.spacing, strict=True)):
        return []
    return [f"the scans' {'x'.join(f'{mm:.4g}' for mm in ours)} mm are far from the base's: they are resampled"]
