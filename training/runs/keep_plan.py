"""The plan of a retrained model: the base's, as long as the data fit it; only batch and mirroring are decided anew."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch

from skipseg.models.device_memory import free_bytes
from skipseg.models.errors import PlanError
from skipseg.models.plan import Channel, Plan
from skipseg.training.planning.costs import training_bytes
from skipseg.training.planning.effort import MEMORY_SHARE, SMALLEST_BATCH, standard
from skipseg.training.planning.fingerprint import ChannelIntensities, Fingerprint
from skipseg.training.planning.overrides import Overrides
from skipseg.training.planning.planner import TrainingPlan, axes_of, mirrored

LEAST_OVERLAP = 0.1  # of two ranges of CT numbers, as a share of the wider one; less is another unit or another tissue
OTHER_SPACING = 2.0  # times the base's: worth a word, since scans are resampled to it
ADVICE = "train without --from, or go on from a bundle made of such data"


def keep_plan(
    base: Plan,
    fingerprint: Fingerprint,
    device: torch.device,
    memory: int | None = None,
    hurried: bool = False,
    given: Overrides | None = None,
    replayed: Sequence[str] = (),
) -> TrainingPlan:
    """The batch and the mirroring for a network that is there already; ``memory`` in bytes overrides what is free.

    ``replayed`` names labels that only replayed datasets have: those too may be of one side, and rule mirroring out.

    Raises ``PlanError`` when the data do not fit the plan, or a batch of one does not fit into memory; ``UsageError``
    for ``given`` choices that are the base's.
    """
    given = given or Overrides()
    given.check_retraining()
    given.check_axes(base.dimensions, [channel.name for channel in base.channels])
    check_fit(base, fingerprint)
    memory = memory or free_bytes(device)
    batch = given.batch or _batch(base, device, memory, hurried)
    needed = training_bytes(base.network, base.tile, batch)
    flips = mirrored(fingerprint, replayed) if given.flips is None else given.flips
    reasons = (
        f"orientation, spacing, normalisation, tile {'x'.join(map(str, base.tile))} and network: the base's",
        *_other_spacing(base, fingerprint),
        f"batch {batch}: about {needed / 2**30:.2f} GiB on {device.type} while training",
        "mirroring along " + ", ".join(str(axis) for axis, flip in enumerate(flips) if flip)
        if any(flips)
        else "no mirroring",
    )
    whole = base.dimensions == 2 if given.whole_batch_dice is None else given.whole_batch_dice
    return TrainingPlan(
        plan=base.model_copy(update={"mirrored_axes": axes_of(flips)}),
        batch=batch,
        flips=flips,
        whole_batch_dice=whole,
        memory_bytes=needed,
        learning_rate=given.learning_rate,
        reasons=reasons,
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
    wanted = standard(device.type).patches(base.dimensions, prod(base.tile))
    for batch in range(SMALLEST_BATCH if hurried else wanted, 0, -1):
        if training_bytes(base.network, base.tile, batch) <= MEMORY_SHARE * memory:
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
