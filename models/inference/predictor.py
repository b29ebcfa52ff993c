"""Plan and network on a device: the way from a volume to its mask."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skipseg.models.bundle import Bundle
from skipseg.models.inference.sliding import scores_of
from skipseg.models.precision import Precision, choose_device, fastest_precision
from skipseg.models.preprocess import Prepared, prepare, restore
from skipseg.models.scans.volume import Mask, Volume


class Predictor:
    """A bundle, loaded onto a device.

    ``prepare`` and ``finish`` run on any thread; ``infer`` on the one that owns the device.
    """

    def __init__(self, bundle: Bundle, device: str = "auto", precision: Precision | None = None) -> None:
        self.bundle = bundle
        self.plan = bundle.plan
        self.device = choose_device(device)
        self.precision: Precision = precision or fastest_precision(self.device)
        self.network = bundle.network().to(self.device)

    def segment(self, volume: Volume) -> Mask:
        """The mask of a volume, on the volume's own grid.

        Raises ``ScanUnusable`` when the volume does not fit the model.
        """
        prepared = self.prepare(volume)
        scores = self.infer(prepared)
        return self.finish(scores, prepared, volume)

    def prepare(self, volume: Volume) -> Prepared:
        """The volume on the network's grid, normalised."""
        return prepare(volume, self.plan)

    @torch.inference_mode()
    def infer(self, prepared: Prepared) -> Tensor:
        """Scores (classes, X, Y, Z) on the network's grid, left on the device."""
        if self.plan.dimensions == 3:
            return self._slide(prepared.image)
        slices = [self._slide(image) for image in prepared.image.movedim(-1, 0)]
        return torch.stack(slices, dim=-1)

    def finish(self, scores: Tensor, prepared: Prepared, volume: Volume) -> Mask:
        """Scores to labels on the scan's own grid."""
        labels = self.bundle.labels
        classes = restore(scores, prepared.placement)
        values: NDArray[np.uint16] = np.array(labels.values, dtype=np.uint16)
        if max(labels.values) < 256:
            return Mask(values.astype(np.uint8)[classes], volume.geometry, volume.source, labels)
        return Mask(values[classes], volume.geometry, volume.source, labels)

    def warm_up(self) -> None:
        """Run one empty tile, so that the first scan does not pay for kernels being set up."""
        with torch.inference_mode():
            self._slide(torch.zeros(len(self.plan.channels), *self.plan.tile))

    def _slide(self, image: Tensor) -> Tensor:
        return scores_of(image, self.network, self.plan, self.device, self.precision)
