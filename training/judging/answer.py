"""What a model says of one case: the mask, how sure it was, and whether it was right to be."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from skipseg.models.inference.certainty import entropy_of, foreground
from skipseg.models.inference.predictor import Predictor
from skipseg.models.labels import Labels
from skipseg.models.preprocess import Placement
from skipseg.models.scans.volume import Mask, Volume
from skipseg.models.trust import Trust, trust_in
from skipseg.training.datasets.truth import LabelVoxels
from skipseg.training.judging.calibration import Reliability, on_networks_grid, reliability_of

Segment = Callable[[Volume], Mask]
Model = Predictor | Segment  # of a predictor the probabilities are seen too


@dataclass(frozen=True, eq=False)
class Answer:
    """The mask of a case; the rest where the model is a predictor."""

    mask: Mask
    seconds: float  # from volume to mask
    trust: Trust | None = None
    reliability: Reliability | None = None


def answer(model: Model, volume: Volume, truth: LabelVoxels) -> Answer:
    """Segment a volume; ``truth`` (X, Y, Z) holds the dataset's label values, compared with the model's by value."""
    began = time.perf_counter()
    if not isinstance(model, Predictor):
        return Answer(model(volume), time.perf_counter() - began)
    seen = _Look(_classes(truth, model.bundle.labels))
    mask = model.segment(volume, seen)
    seconds = time.perf_counter() - began - seen.seconds
    return Answer(mask, seconds, trust_in(mask, seen.entropy, model.bundle.manifest.training.ranges), seen.reliability)


class _Look:
    """Takes from a network's scores what an evaluation needs of them."""

    entropy: float | None = None
    reliability: Reliability | None = None
    seconds = 0.0

    def __init__(self, classes: LabelVoxels) -> None:
        self.classes = classes

    def __call__(self, scores: Tensor, placement: Placement) -> None:
        began = time.perf_counter()
        found = foreground(scores)
        self.entropy = entropy_of(scores)
        self.reliability = reliability_of(scores, found, on_networks_grid(self.classes, placement))
        self.seconds = time.perf_counter() - began


def _classes(truth: LabelVoxels, labels: Labels) -> LabelVoxels:
    """Class indices of a network; what it has no label for is one more than it has classes."""
    index = np.full(int(max(truth.max(initial=0), *labels.values)) + 1, len(labels), np.uint16)
    index[list(labels.values)] = np.arange(len(labels))
    return index[truth]
