"""What the evaluation at the end of a training will take, found out by doing it on the way with a few cases.

Minutes are a promise about the whole run, so time for the evaluation has to be kept back while the network is fitted.
How much depends on the machine, on what else it does at the moment, and on how ragged the network's masks are: the same
evaluation, with the weights so far, knows all of that.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch

from skipseg.models.bundle import Bundle, TrainingRecord, save_bundle
from skipseg.models.inference.predictor import Predictor
from skipseg.models.labels import Labels
from skipseg.models.plan import Plan
from skipseg.models.precision import Precision
from skipseg.training.datasets.dataset import Case, Dataset
from skipseg.training.fitting.cache import CaseFiles
from skipseg.training.fitting.parallel import State
from skipseg.training.fitting.schedule import Budget
from skipseg.training.runs.evaluate import evaluate

CASES = 3  # as many as a report shows from near
MANY = 20  # cases; the more there are, the more there is to lose by a wrong guess, and the less it takes to find out
SHARE = 0.015  # of the budget that one rehearsal may take when they are fewer


class RehearsalFailed(Exception):
    """A case could not be evaluated."""


@dataclass(frozen=True)
class Rehearsal:
    """The evaluation of ``cases``, whose cached voxels are ``files``, with the weights so far."""

    dataset: Dataset
    cases: Sequence[Case]
    files: Sequence[CaseFiles]
    labels: Labels
    plan: Plan
    device: torch.device
    precision: Precision
    folder: Path  # for files on the way
    after: float = 0.0  # seconds that what comes after the evaluation takes

    def seconds(self, weights: State) -> float:
        """What evaluating all cases will take, and what comes after."""
        chosen, share = self._chosen()
        began = time.monotonic()
        predictor = Predictor(self._draft(weights), str(self.device), self.precision)
        ready, scored = time.monotonic(), time.monotonic()

        def note(done: int, total: int) -> None:
            nonlocal scored
            scored = time.monotonic()

        metrics = evaluate(predictor, "rehearsal", self.dataset, chosen, self.folder / "evaluation", note)
        if metrics.failed:  # they fail fast, which says nothing of the others
            raise RehearsalFailed(metrics.failed[0].error)
        written = time.monotonic()
        shutil.rmtree(self.folder)
        return (ready - began) + (scored - ready) / share + (written - scored) + self.after

    def _chosen(self) -> tuple[list[Case], float]:
        """A few cases of middling size, and their share of all voxels."""
        voxels = [prod(file.open().classes.shape) for file in self.files]
        order = sorted(range(len(voxels)), key=voxels.__getitem__)
        first = max((len(order) - CASES) // 2, 0)
        middle = order[first : first + CASES]
        return [self.cases[i] for i in middle], sum(voxels[i] for i in middle) / sum(voxels)

    def _draft(self, weights: State) -> Bundle:
        record = TrainingRecord(
            dataset=self.dataset.name,
            dataset_sha256="0" * 64,
            cases=(),
            validation_cases=(),
            seed=0,
            steps=0,
            minutes=0,
            device=self.device.type,
            precision=self.precision,
        )
        return save_bundle(
            self.folder / "draft",
            weights,
            lambda manifest: "",
            name="rehearsal",
            task="a rehearsal",
            labels=self.labels,
            plan=self.plan,
            training=record,
        )


def rehearsing(rehearsal: Rehearsal, budget: Budget, say: Callable[[str], None]) -> Callable[[State], None] | None:
    """What sets, with the weights so far, how much of a budget is kept back; None where a few cases tell too little.

    A rehearsal that fails, as on a full disk, is told and changes nothing: the training goes on with the guess.
    """
    cases = len(rehearsal.cases)
    if budget.seconds is None or cases < 2 * CASES:
        return None
    cost = budget.reserve * CASES / cases
    if cases < MANY and cost > SHARE * budget.seconds:
        return None

    def rehearse(weights: State) -> None:
        try:
            budget.keep_back(rehearsal.seconds(weights))
        except (OSError, RehearsalFailed, torch.OutOfMemoryError) as error:
            say(f"how long the evaluation takes is not known, only guessed ({error}); the training goes on")

    return rehearse
