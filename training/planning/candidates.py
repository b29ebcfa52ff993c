"""Configurations that could be trained, from the most wanted to the least, and the choice among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf, prod
from statistics import median

from skipseg.models.errors import PlanError
from skipseg.models.networks.recipes import NetworkRecipe
from skipseg.models.scans.limits import DEFAULT_LIMITS
from skipseg.training.planning.architecture import network_for
from skipseg.training.planning.costs import training_bytes
from skipseg.training.planning.effort import (
    MEMORY_SHARE,
    NEAR_SIGHT,
    POOR_SIGHT,
    SMALLEST_BATCH,
    STEM_PATCH,
    STEPS_FOR_FINE,
    WORTH_LOOKING,
    Effort,
)
from skipseg.training.planning.fingerprint import Fingerprint
from skipseg.training.planning.grids import Grid, own_grid, thick_enough
from skipseg.training.planning.overrides import Overrides
from skipseg.training.planning.pyramid import Steps

MOST_TIMED = 4  # configurations whose steps are timed at most
SMALLEST_PATCH = 16  # voxels along an axis that a patch is made smaller down to


@dataclass(frozen=True)
class Candidate:
    """One configuration; ``coarser`` 1 works on the scan's own grid, 2 behind a stem, 4 on coarser voxels as well."""

    size: str
    coarser: int
    grid: Grid
    patch: Steps
    batch: int
    recipe: NetworkRecipe
    memory_bytes: int
    enough_steps: float

    @property
    def name(self) -> str:
        """What it is called in a table."""
        return self.size + {1: "", 2: ", stem", 4: ", stem, coarser voxels"}[self.coarser]

    @property
    def sight(self) -> float:
        """The share of a median scan that one patch sees."""
        return prod(min(tile / side, 1.0) for tile, side in zip(self.patch, self.grid.shape, strict=True))

    @property
    def answer_bytes(self) -> float:
        """Of a median scan and all its scores on the grid, as ``Limits.check_network`` counts them."""
        return prod(self.grid.shape) * (self.recipe.channels + self.recipe.classes) * 4


@dataclass(frozen=True)
class Timing:
    """How long a step of a candidate takes, and how many there is time for."""

    candidate: Candidate
    seconds: float
    measured: bool
    steps: float


def candidates(
    fingerprint: Fingerprint, efforts: Sequence[Effort], memory: int, given: Overrides
) -> tuple[Candidate, ...]:
    """All that suits the data and fits into ``memory``, each once, from the most wanted to the least.

    Where some can, those that cannot segment a median scan within the limits for one are left out.
    Raises ``PlanError`` when nothing fits, not even the smallest patch.
    """
    levels = _levels(fingerprint, efforts, given)
    wanted = [(effort, level) for effort in efforts for level in levels]
    if levels == (1,) and not given.shapes_the_grid and _may_be_coarser(fingerprint, given):
        wanted.append((efforts[-1], 2))  # for when there is no time for anything else
    found: list[Candidate] = []
    problems: list[PlanError] = []
    for effort, level in wanted:
        try:
            made = _candidate(fingerprint, effort, level, max(levels), memory, given)
        except PlanError as problem:  # of this size; another one may suit what a person has chosen
            problems.append(problem)
            continue
        if made is not None and not any(_same(made, other) for other in found):
            found.append(made)
    if not found:
        raise problems[0] if problems else PlanError(_too_large(given, memory))
    return tuple(option for option in found if option.answer_bytes <= DEFAULT_LIMITS.network_bytes) or tuple(found)


def choose(timings: Sequence[Timing]) -> int:
    """The place of the first candidate that gets enough steps; if none does, of the last, which asks for least."""
    for place, timing in enumerate(timings):
        if timing.steps >= timing.candidate.enough_steps:
            return place
    return max((place for place, timing in enumerate(timings) if timing.seconds < inf), default=len(timings) - 1)


def settle(
    options: Sequence[Candidate],
    room: Callable[[Candidate, float], float],
    guess: Callable[[Candidate], float],
    measure: Callable[[Candidate], float | None] | None = None,
) -> tuple[int, tuple[Timing, ...]]:
    """Choose, measuring what would be chosen until what is chosen was measured; returns its place and all timings.

    ``room`` tells the seconds left for fitting a candidate whose step takes so many; ``guess`` those of a step, and
    ``measure`` as well: infinity when it cannot be done, None when there is no time to find out. Guesses are scaled by
    what was measured.
    """
    guesses = [guess(option) for option in options]
    measured: dict[int, float] = {}
    while True:
        scale = median([took / guesses[place] for place, took in measured.items() if took < inf] or [1.0])
        seconds = [measured.get(place, guessed * scale) for place, guessed in enumerate(guesses)]
        timings = tuple(
            Timing(option, took, place in measured, max(room(option, took), 0.0) / took)
            for place, (option, took) in enumerate(zip(options, seconds, strict=True))
        )
        chosen = choose(timings)
        if measure is None or chosen in measured or len(measured) == MOST_TIMED:
            return chosen, timings
        took_now = measure(options[chosen])
        if took_now is None:
            return chosen, timings
        measured[chosen] = took_now


def _levels(fingerprint: Fingerprint, efforts: Sequence[Effort], given: Overrides) -> tuple[int, ...]:
    """How coarse it may have to be: only as coarse as labels survive, and only where patches see little otherwise."""
    axes, grid = fingerprint.dimensions, own_grid(fingerprint, given)
    if given.shapes_the_grid or not _may_be_coarser(fingerprint, given):
        return (1,)
    voxels = max(effort.patch_voxels[axes] for effort in efforts if effort.name != "large")
    scan = prod(grid.shape)
    if voxels >= POOR_SIGHT[axes] * scan:
        return (1,)
    near = voxels * STEM_PATCH >= NEAR_SIGHT[axes] * scan
    return (1, 2) if near or grid.spacing is None or not thick_enough(fingerprint, 4) else (1, 2, 4)


def _may_be_coarser(fingerprint: Fingerprint, given: Overrides) -> bool:
    return thick_enough(fingerprint, 2) and max(own_grid(fingerprint, given).stem()) > 1


def _candidate(
    fingerprint: Fingerprint, effort: Effort, level: int, coarsest: int, memory: int, given: Overrides
) -> Candidate | None:
    """The largest patch of an effort that fits into memory, and as many of it; None when none does."""
    axes, grid = fingerprint.dimensions, own_grid(fingerprint, given)
    grid = grid.coarser() if level == 4 else grid
    stem = grid.stem() if level > 1 else None
    voxels = effort.patch_voxels[axes] * (STEM_PATCH if stem else 1.0)
    finer = {1: 0, 2: 1, 4: 2}[max(coarsest, level)] - {1: 0, 2: 1, 4: 2}[level]
    enough = max(effort.enough_steps, WORTH_LOOKING) * STEPS_FOR_FINE**finer if finer else effort.enough_steps
    while voxels >= SMALLEST_PATCH**axes:
        patch, recipe = network_for(fingerprint, effort, grid, stem, voxels, given)
        most = given.batch or effort.patches(axes, prod(patch) / prod(stem or (1,)))
        least = most if given.batch else 1 if given.patch else SMALLEST_BATCH
        for batch in range(most, least - 1, -1):  # fewer patches before smaller ones, which see less
            if (needed := training_bytes(recipe, patch, batch)) <= MEMORY_SHARE * memory:
                return Candidate(effort.name, level, grid, patch, batch, recipe, needed, enough)
        if given.patch:
            return None
        voxels /= 2
    return None


def _too_large(given: Overrides, memory: int) -> str:
    if given.patch:
        return f"plan file: patch {list(given.patch)} takes more than the {memory / 2**30:.1f} GiB there are; give less"
    return f"not even a small patch fits into {memory / 2**30:.1f} GiB; free memory or train on another device"


def _same(one: Candidate, other: Candidate) -> bool:
    return (one.patch, one.batch, one.recipe, one.grid) == (other.patch, other.batch, other.recipe, other.grid)
