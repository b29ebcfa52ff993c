"""What is told of a training while it runs, and when it is over."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from skipseg.training.judging.paired import Change, Differences

Stage = Literal["preparing", "training", "evaluating", "comparing", "finishing"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class CurvePoint(_Frozen):
    """A row of ``history.csv``."""

    step: int
    seconds: float
    loss: float
    dice: float | None  # on cases kept out, where it was measured


class TrainProgress(_Frozen):
    """Where a training is."""

    stage: Stage
    minutes_done: float = 0.0
    minutes_left: float = 0.0  # of those ordered; the comparison comes on top
    curve: tuple[CurvePoint, ...] = ()
    compared: int = 0  # cases segmented for the comparison, by either model
    to_compare: int = 0


class Judgement(_Frozen):
    """The candidate (``b``) and the version that was live (``a``) on the same frozen cases."""

    a: str
    b: str
    cases: int
    mean: Differences
    labels: dict[str, Differences]
    learned: int  # of these cases some that either learned from; their figures flatter it
    failed: int  # cases that either could not segment; in no figure
    changes: tuple[Change, ...] = ()  # case by case, the lowest Dice of ``b`` first, 100 at most


class Promotion(_Frozen):
    """Whether the candidate became live, and what speaks against it."""

    promoted: bool
    reasons: tuple[str, ...]


class TrainOutcome(_Frozen):
    """What a training came to."""

    cancelled: bool
    candidate: str | None  # name@version; None when it was cancelled before anything was learned
    base: str | None
    dataset: str
    dataset_revision: int
    dataset_sha256: str  # of the cases as they were when it began
    training_cases: int
    validation_cases: tuple[str, ...]
    metrics: dict[str, float | None]  # of the candidate, as its bundle tells them
    curve: tuple[CurvePoint, ...]
    judgement: Judgement | None
    promotion: Promotion
