"""Masks of cases kept out, scored on each scan's own grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from skipseg.models.inference.restore import restore
from skipseg.models.inference.sliding import scores_of
from skipseg.models.inference.tiles import Frame
from skipseg.models.plan import Plan
from skipseg.models.precision import Precision
from skipseg.models.preprocess import prepare
from skipseg.training.datasets.dataset import Case, Dataset, read_case
from skipseg.training.datasets.truth import LabelVoxels
from skipseg.training.judging.metrics import mean_of, score_labels
from skipseg.training.study.records import Score

Wrap = Callable[[nn.Module, int], nn.Module]  # a network for the case of a number


class Judge:
    """Scores networks of one plan on the same cases."""

    def __init__(
        self, dataset: Dataset, cases: Sequence[Case], plan: Plan, device: torch.device, precision: Precision
    ) -> None:
        self.dataset, self.cases, self.plan = dataset, tuple(cases), plan
        self.device, self.precision = device, precision

    def fewer(self, count: int) -> Judge:
        """The same with the first ``count`` cases."""
        return Judge(self.dataset, self.cases[:count], self.plan, self.device, self.precision)

    def __call__(self, network: nn.Module, wrap: Wrap = lambda network, number: network) -> tuple[Score, ...]:
        """Every case; ``wrap`` makes of the network the one that answers for a case."""
        network = network.to(self.device).eval()
        return tuple(self._score(case, wrap(network, number)) for number, case in enumerate(self.cases))

    def tile_of(self, number: int) -> Tensor:
        """The middle tile (C, *tile) of the case of a number, counted round and round."""
        image, _ = read_case(self.dataset, self.cases[number % len(self.cases)])
        prepared = prepare(image, self.plan).image
        flat = prepared if self.plan.dimensions == 3 else prepared[..., prepared.shape[-1] // 2]
        padded = Frame.around(flat.shape[1:], self.plan.tile).filled(flat)
        starts = [(length - side) // 2 for length, side in zip(padded.shape[1:], self.plan.tile, strict=True)]
        middle = [slice(start, start + side) for start, side in zip(starts, self.plan.tile, strict=True)]
        return padded[(slice(None), *middle)]

    def mask(self, case: Case, network: nn.Module) -> LabelVoxels:
        """The mask (X, Y, Z) on the scan's own grid, as values of the dataset's labels."""
        image, _ = read_case(self.dataset, case)
        prepared = prepare(image, self.plan)
        with torch.inference_mode():
            scores = scores_of(prepared.image, network.eval(), self.plan, self.device, self.precision)
            classes = restore(scores, prepared.placement)
        values = self.dataset.labels.values
        mask: LabelVoxels = np.array(values, dtype=np.uint8 if max(values) < 256 else np.uint16)[classes]
        return mask

    def _score(self, case: Case, network: nn.Module) -> Score:
        image, truth = read_case(self.dataset, case)
        labels = score_labels(self.mask(case, network), truth, self.dataset.labels, image.geometry.spacing)
        mean = mean_of(labels.values())
        return Score(case=case.name, dice=mean.dice, hd95_mm=mean.hd95_mm, nsd_1mm=mean.nsd_1mm)
