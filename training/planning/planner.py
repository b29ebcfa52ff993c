"""From a fingerprint, a device and the time there is to everything training needs to know. Read ``make_plan`` first."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from skipseg.models.device_memory import free_bytes
from skipseg.models.errors import PlanError
from skipseg.models.plan import Channel, Plan
from skipseg.models.trust import Ranges
from skipseg.training.planning.candidates import Candidate, Timing, candidates, settle
from skipseg.training.planning.costs import guessed_seconds
from skipseg.training.planning.effort import HURRIED, LADDERS, WILD, standard
from skipseg.training.planning.fingerprint import ChannelIntensities, Fingerprint
from skipseg.training.planning.forecast import Expected, expected, fitting_seconds
from skipseg.training.planning.grids import cropped
from skipseg.training.planning.overrides import AS_STORED, ROBUST_PERCENT, ChannelChoice, Overrides
from skipseg.training.planning.reasons import Facts, reasons_for, table

OVERLAP = 0.25  # of neighbouring tiles; half of the tile costs up to eight times the tiles
FEW_CASES = (
    40  # a judgement: with 138 cases mirroring cost a hundredth of Dice in 7 minutes, with six it is most of the data
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
    millimetres: tuple[float, ...] | None = None  # relative lengths of a voxel where the plan has no spacing
    learning_rate: float | None = None  # None: the loop's own
    expected: Expected | None = None
    reasons: tuple[str, ...] = ()

    @property
    def voxel(self) -> tuple[float, ...]:
        """Lengths of a network voxel, for turning patches in space."""
        return self.millimetres or self.plan.spacing or (1.0,) * self.plan.dimensions


@dataclass(frozen=True)
class Circumstances:
    """What a plan depends on beside the data: the time, how many scans are kept out, and what a person has chosen."""

    minutes: float | None = None  # of the whole run
    kept_out: int = 0  # scans to evaluate in the end
    given: Overrides = field(default_factory=Overrides)
    measure: Callable[[Candidate], float | None] | None = None  # seconds of a step, by a probe


def make_plan(
    fingerprint: Fingerprint,
    device: torch.device,
    memory: int | None = None,
    hurried: bool = False,
    circumstances: Circumstances | None = None,
) -> TrainingPlan:
    """Decide patch, batch, depth, widths, stem, spacing, orientation and normalisation.

    ``memory`` in bytes overrides what the device has free; ``hurried`` leaves the larger sizes out, for more steps in
    little time. Equal times of a step give equal plans. Raises ``PlanError`` when not even the smallest patch fits,
    and ``UsageError`` or ``PlanError`` for choices of a person's that cannot be.
    """
    about = circumstances or Circumstances()
    given = about.given
    fingerprint = fingerprint.model_copy(update={"dimensions": given.dimensions or fingerprint.dimensions})
    given.check_axes(fingerprint.dimensions, [channel.name for channel in fingerprint.channels])
    given.check_labels([label.name for label in fingerprint.labels])
    efforts = (HURRIED if hurried else LADDERS)[device.type]
    if about.minutes is None and not hurried:
        efforts = (standard(device.type),)
    try:
        options = candidates(fingerprint, efforts, memory or free_bytes(device), given)
        place, timings = _settled(fingerprint, options, device, about)
        return _planned(fingerprint, timings, place, device, about)
    except ValidationError as problem:
        raise PlanError(_told(problem, "plan file" if given.chosen else "no plan suits these data")) from None


def explain(training: TrainingPlan) -> str:
    """The plan's choices for a person, one line each, and what they will cost."""
    lines = [f"  - {reason}" for reason in training.reasons]
    return "\n".join(lines + ([table(training.expected)] if training.expected else []))


def mirrored(fingerprint: Fingerprint, others: Sequence[str] = ()) -> tuple[bool, ...]:
    """Which axes training may mirror: of pictures all, since they have no up. Scans lie in the patient's axes, where
    mirror images do not occur, but for left-right, which helps where cases are few and no label names a side: none of
    the dataset's, and none of the ``others`` that the network has."""
    if _pictures(fingerprint):
        return (True, True)
    sided = any(SIDED.search(name) for name in (*(label.name for label in fingerprint.labels), *others))
    helps = fingerprint.cases < FEW_CASES and not sided
    return tuple(helps and code in "LR" for code in fingerprint.orientation[: fingerprint.dimensions])


def axes_of(flips: Sequence[bool]) -> tuple[int, ...]:
    """The axes along which training mirrors, as a plan remembers them."""
    return tuple(axis for axis, flip in enumerate(flips) if flip)


def _settled(
    fingerprint: Fingerprint, options: tuple[Candidate, ...], device: torch.device, about: Circumstances
) -> tuple[int, tuple[Timing, ...]]:
    """The place of the choice among all timings; the first of all where nobody asks for time."""
    minutes = about.minutes

    def guess(option: Candidate) -> float:
        return guessed_seconds(option.recipe, option.patch, option.batch, device.type)

    def room(option: Candidate, seconds: float) -> float:
        return fitting_seconds(option, fingerprint, minutes or 0.0, about.kept_out, OVERLAP, seconds)

    if minutes is None:
        seconds = guess(options[0])
        return 0, (Timing(options[0], seconds, False, 0.0),)
    return settle(options, room, guess, about.measure)


def _planned(
    fingerprint: Fingerprint, timings: tuple[Timing, ...], place: int, device: torch.device, about: Circumstances
) -> TrainingPlan:
    chosen, given = timings[place].candidate, about.given
    orientation = None if _pictures(fingerprint) else fingerprint.orientation
    if given.orientation is not None:
        orientation = None if given.orientation == AS_STORED else given.orientation.upper()
    flips = mirrored(fingerprint) if given.flips is None else given.flips
    plan = Plan(
        dimensions=fingerprint.dimensions,
        channels=tuple(_channel(channel, given) for channel in fingerprint.channels),
        orientation=orientation,
        spacing=chosen.grid.spacing,
        crop_to_content=cropped(fingerprint, given),
        tile=chosen.patch,
        overlap=OVERLAP if given.overlap is None else given.overlap,
        network=chosen.recipe,
        mirrored_axes=axes_of(flips),
        cleanup=given.cleanup,
    )
    facts = Facts(fingerprint, plan, flips, timings, place, device.type, given, _pictures(fingerprint))
    whole = plan.dimensions == 2 if given.whole_batch_dice is None else given.whole_batch_dice
    return TrainingPlan(
        plan=plan,
        batch=chosen.batch,
        flips=flips,
        whole_batch_dice=whole,
        memory_bytes=chosen.memory_bytes,
        millimetres=chosen.grid.millimetres,
        learning_rate=given.learning_rate,
        expected=expected(timings[place], fingerprint, about.minutes, about.kept_out, plan.overlap),
        reasons=reasons_for(facts),
    )


def _channel(measured: ChannelIntensities, given: Overrides) -> Channel:
    """Normalised, and found among DICOM series, as a person says."""
    series, found = given.series.get(measured.name), _normalised(measured, given.normalisation.get(measured.name))
    return found if series is None else found.model_copy(update=series.model_dump())


def _normalised(measured: ChannelIntensities, choice: ChannelChoice | None) -> Channel:
    """As a person says, or else: CT alike everywhere, all else by each scan's own values, without wild ones."""
    if choice is None:
        method = "fixed" if measured.is_ct else "robust" if measured.outliers.maximum > WILD else "zscore"
        choice = ChannelChoice.model_validate(method)
    if choice.method != "fixed":
        clip = (choice.clip_percent or ROBUST_PERCENT) if choice.method == "robust" else None
        return Channel(name=measured.name, clip_percent=clip)
    return Channel(
        name=measured.name,
        normalisation="fixed",
        low=_first(choice.low, measured.percentile_00_5),
        high=_first(choice.high, measured.percentile_99_5),
        mean=_first(choice.mean, measured.mean),
        std=_first(choice.std, max(measured.std, 1e-6)),
    )


def _told(problem: ValidationError, where: str) -> str:
    first = problem.errors()[0]
    return ": ".join([where, *map(str, first["loc"]), first["msg"].removeprefix("Value error, ")])


def _first(given: float | None, measured: float) -> float:
    return measured if given is None else given


SIDED = re.compile(r"(^|[^a-z])(left|right|l|r|lh|rh)([^a-z]|$)", re.IGNORECASE)


def _pictures(fingerprint: Fingerprint) -> bool:
    """Whether the scans are pictures, which lie nowhere in a patient: a single slice of an MR scan is none."""
    return fingerprint.dimensions == 2 and not fingerprint.spacing_given
