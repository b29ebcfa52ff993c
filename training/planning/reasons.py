"""A plan's choices in words, and what they will cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from skipseg.models.networks.recipes import UNetRecipe
from skipseg.models.plan import Channel, Plan
from skipseg.training.planning.candidates import Timing
from skipseg.training.planning.effort import KEPT_BY_COARSER
from skipseg.training.planning.fingerprint import Fingerprint
from skipseg.training.planning.forecast import Expected
from skipseg.training.planning.grids import kept_by
from skipseg.training.planning.overrides import Overrides


@dataclass(frozen=True)
class Facts:
    """What was decided, and from what."""

    fingerprint: Fingerprint
    plan: Plan
    flips: tuple[bool, ...]
    timings: tuple[Timing, ...]
    place: int  # of the chosen one
    device: str
    given: Overrides
    pictures: bool


def reasons_for(facts: Facts) -> tuple[str, ...]:
    """One line a choice, then the configurations that were compared."""
    lines = (
        ("dimensions", _dimensions(facts)),
        ("orientation", _orientation(facts)),
        ("spacing", _spacing(facts)),
        *(("normalisation" if channel.name in facts.given.normalisation else "", _why_normalised(channel, facts))
          for channel in facts.plan.channels),
        ("crop_to_content", _crop(facts.plan)),
        ("patch", _patch(facts)),
        ("batch", _batch(facts)),
        ("network", _network(facts)),
        ("strides", _stem(facts)),
        ("flips", _mirrored(facts)),
    )  # fmt: skip
    chosen = facts.given.chosen
    told = [text + (" (as asked for)" if name in chosen else "") for name, text in lines if text]
    others = [f"{name}: as asked for" for name in sorted(chosen - {name for name, _ in lines})]
    return (*told, *others, *_compared(facts))


def table(expected: Expected) -> str:
    """What each stage takes, for a person."""
    step = f"{_seconds(expected.seconds_per_step)} a step, " + ("measured" if expected.measured else "guessed")
    steps = "" if expected.steps is None else f", {expected.steps} steps"
    fitting = "" if expected.fitting_seconds is None else f"{_clock(expected.fitting_seconds)}, "
    rows = [
        ("preparing", f"about {_clock(expected.preparing_seconds)}"),
        ("fitting", fitting + step + steps),
        ("evaluating", f"about {_clock(expected.evaluating_seconds)}"),
        ("memory", f"at most about {expected.memory_bytes / 2**30:.2f} GiB while fitting"),
    ]  # fmt: skip
    return "\n".join(f"  {name:<11} {text}" for name, text in rows)


def _dimensions(facts: Facts) -> str:
    if facts.given.dimensions == 2:
        return "2D network: slice by slice"
    why = "every scan is a single slice" if facts.plan.dimensions == 2 else "scans have several slices"
    return f"{facts.plan.dimensions}D network: {why}"


def _orientation(facts: Facts) -> str:
    if facts.plan.orientation is None:
        return "orientation as stored" + (": pictures have none" if facts.pictures else "")
    return f"orientation {facts.plan.orientation}: most scans have it"


def _spacing(facts: Facts) -> str:
    spacing, fingerprint = facts.plan.spacing, facts.fingerprint
    if spacing is None and facts.plan.dimensions == 3 and not fingerprint.spacing_given:
        lengths = "x".join(f"{mm:.3g}" for mm in facts.timings[facts.place].candidate.grid.millimetres)
        return f"spacing as it comes: headers all say 1 mm; by the scans' shape voxels are taken as {lengths}"
    if spacing is None:
        return "spacing as it comes" + (": pictures carry none" if facts.pictures else "")
    text = f"spacing {_mm(spacing)}"
    if facts.timings[facts.place].candidate.coarser == 4:
        return f"{text}: coarser than the median of the cases, since patches would see too little of a scan"
    return text if facts.given.spacing else f"{text}: the median of the cases"


def _why_normalised(channel: Channel, facts: Facts) -> str:
    if channel.normalisation == "fixed":
        return (
            f"channel {channel.name}: clipped to {channel.low:.4g}..{channel.high:.4g} and normalised alike in every "
            "scan" + ("" if channel.name in facts.given.normalisation else ", since CT numbers are absolute")
        )
    own = f"channel {channel.name}: by each scan's own mean and deviation"
    if channel.clip_percent is None:
        return f"{own}, as scanners scale differently"
    low, high = channel.clip_percent
    return f"{own}, clipped to its {low:g}th..{high:g}th percentile before: a few values lie far outside the others"


def _crop(plan: Plan) -> str:
    if plan.crop_to_content:
        return "scans are cropped to what is not background: that is most of them"
    return "scans are not cropped: little of them is background"


def _patch(facts: Facts) -> str:
    chosen = facts.timings[facts.place].candidate
    scan = "x".join(str(round(side)) for side in chosen.grid.shape)
    return f"patch {'x'.join(map(str, chosen.patch))} voxels of a median scan of {scan}: {chosen.sight:.0%} of it"


def _batch(facts: Facts) -> str:
    chosen = facts.timings[facts.place].candidate
    return f"batch {chosen.batch}: about {chosen.memory_bytes / 2**30:.2f} GiB on {facts.device} while training"


def _network(facts: Facts) -> str:
    return f"network: {facts.plan.network.told}"


def _stem(facts: Facts) -> str:
    if not isinstance(facts.plan.network, UNetRecipe):
        return ""
    stem, kept = facts.plan.network.strides[0], kept_by(facts.fingerprint, 2)
    if any(step > 1 for step in stem):
        return f"a stem of stride {stem}: the thinnest label keeps {kept:.0%} on the coarser grid, and patches see more"
    if kept < KEPT_BY_COARSER[facts.plan.dimensions]:
        return f"full resolution from the first layer on: on a coarser grid the thinnest label would keep {kept:.0%}"
    return ""


def _mirrored(facts: Facts) -> str:
    if facts.pictures and all(facts.flips):
        return "mirroring along both axes: pictures have no up"
    if any(facts.flips):
        axes = ", ".join(str(axis) for axis, flip in enumerate(facts.flips) if flip)
        few = "" if facts.given.flips else ": left-right, with few cases and no label that names a side"
        return f"mirroring along axis {axes}{few}"
    return "no mirroring: scans are turned to the patient's axes, where mirror images do not occur"


def _compared(facts: Facts) -> tuple[str, ...]:
    """The table of candidates: what each would get out of the time."""
    if len(facts.timings) < 2:
        return ()
    rows = []
    for place, timing in enumerate(facts.timings):
        option, source = timing.candidate, "measured" if timing.measured else "guessed"
        rows.append(
            f"{'taken' if place == facts.place else 'size'} {option.name}: patch {'x'.join(map(str, option.patch))}, "
            f"batch {option.batch}, {_seconds(timing.seconds)} a step ({source}), "
            f"{timing.steps:.0f} steps in the time, worth it from {option.enough_steps:.0f}"
        )
    return tuple(rows)


def _mm(spacing: Sequence[float]) -> str:
    return "x".join(f"{mm:.4g}" for mm in spacing) + " mm"


def _seconds(seconds: float) -> str:
    return f"{seconds:.3g} s"


def _clock(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
