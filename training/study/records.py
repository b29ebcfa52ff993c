"""What a study keeps of itself: ``study.json``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from skipseg.models.errors import UsageError
from skipseg.models.plan import Plan
from skipseg.models.precision import Precision
from skipseg.training.judging.intervals import Interval
from skipseg.training.study.activations import ActivationStatistics
from skipseg.training.study.gradients import GradientNorms
from skipseg.training.study.grid import Extent, Frame, Variation
from skipseg.training.study.prices import NetworkPrice, ProjectionPrice, SkipPrice

Verdict = Literal["confirmed", "refuted", "undecided"]
WRITTEN = "study.json"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")


class Setup(_Frozen):
    """What is decided once, before the first run, and holds for all of them."""

    dataset: str
    dataset_sha256: str
    minutes: float
    seed: int
    device: str
    threads: int
    precision: Precision
    plan: Plan  # preprocessing and tile; its network is replaced by each variation's
    batch: int
    flips: tuple[bool, ...]
    voxel: tuple[float, ...]
    whole_batch_dice: bool
    weights: int  # that every network should have
    training: tuple[str, ...]
    kept_out: tuple[str, ...]
    groups: dict[str, str]
    depths: tuple[int, ...]
    seeds: int
    steps: int
    starts: int  # random initialisations
    pace: dict[str, float]  # seconds a step, as measured before the first run
    case_seconds: float  # to score one case

    @property
    def extent(self) -> Extent:
        return Extent(self.depths, self.seeds)

    def frame(self) -> Frame:
        """What all networks have in common."""
        return Frame.of(self.plan.network, self.weights)  # type: ignore[arg-type]  # the planner's are pyramids


class Start(_Frozen):
    """Gradients of one randomly initialised network, before any training."""

    variation: Variation
    draw: int
    along: tuple[float, ...]  # norms by the weights' own, of the layers that make it deep, first to last

    @property
    def ratio(self) -> float:
        """That of the first layer by that of the last."""
        return self.along[0] / max(self.along[-1], 1e-30)


class Point(_Frozen):
    step: int
    loss: float
    dice: float | None = None  # on a few cases kept out


class Score(_Frozen):
    """One case kept out, means over its labels; None: not defined."""

    case: str
    dice: float | None
    hd95_mm: float | None
    nsd_1mm: float | None


class CutSkip(_Frozen):
    """A trained network with one of its skips changed."""

    place: int
    change: Literal["zeroed", "shuffled"]
    scores: tuple[Score, ...]


class Run(_Frozen):
    """One variation, fitted with one seed."""

    variation: Variation
    seed: int
    steps: int
    seconds: float  # of the fit
    weights: int
    held_bytes: int  # for the backward pass, of one batch
    curve: tuple[Point, ...]
    gradients: tuple[GradientNorms, ...]
    activations: ActivationStatistics | None = None  # of the fitted network
    scores: tuple[Score, ...] = ()
    whole: tuple[Score, ...] = ()  # of the cases that `cut` was measured on, with every skip as it is
    cut: tuple[CutSkip, ...] = ()
    ranks: tuple[float, ...] = ()  # effective rank of what crosses, coarsest first
    crossing: tuple[int, ...] = ()  # features that cross
    prices: tuple[SkipPrice, ...] = ()
    diverged: str | None = None  # why there is no network

    @property
    def key(self) -> tuple[Variation, int]:
        return self.variation, self.seed


class Claim(_Frozen):
    """A claim, what was measured of it, and what follows by the rule."""

    key: str
    claim: str
    measured: str
    interval: Interval | None
    samples: str
    rule: str
    verdict: Verdict


class Study(_Frozen):
    """Everything."""

    setup: Setup
    spent: float = 0.0  # seconds so far, in all sessions
    starts: tuple[Start, ...] = ()
    prices: tuple[NetworkPrice, ...] = ()
    projections: tuple[ProjectionPrice, ...] = ()
    runs: tuple[Run, ...] = ()
    claims: tuple[Claim, ...] = ()

    def missing(self) -> list[tuple[Variation, int]]:
        """What is still to be run, all variations of a seed before those of the next."""
        done = {run.key for run in self.runs}
        wanted = [(one, seed) for seed in range(self.setup.seeds) for one in self.setup.extent.variations]
        return [key for key in wanted if key not in done]

    def runs_of(self, variation: Variation) -> list[Run]:
        """Of all seeds."""
        return sorted((run for run in self.runs if run.variation == variation), key=lambda run: run.seed)


def write_study(study: Study, out: Path) -> None:
    """Replace the file in one step: whoever is cut off leaves the one before."""
    draft = out / f"{WRITTEN}.writing"
    draft.write_text(study.model_dump_json(), encoding="utf-8")
    os.replace(draft, out / WRITTEN)


def read_study(out: Path) -> Study | None:
    """The study that was begun in a folder, if any. Raises ``UsageError`` for a file that is none."""
    path = out / WRITTEN
    if not path.is_file():
        return None
    try:
        return Study.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError):
        raise UsageError(f"{path} is no study of this version; remove it, or choose another --out") from None
