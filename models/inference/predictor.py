"""Plan and network on a device: the way from a volume to its mask."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skipseg.models.bundle import Bundle
from skipseg.models.inference.sliding import scores_of
from skipseg.models.precision import Precision, choose_device, fastest_precision
from skipseg.models.preprocess import Placement, Prepared, prepare, restore
from skipseg.models.scans.limits import DEFAULT_LIMITS, Limits
from skipseg.models.scans.volume import Mask, Volume

Look = Callable[[Tensor, Placement], None]


class Predictor:
    """A bundle, loaded onto a device.

    ``prepare`` and ``finish`` run on any thread and never touch the device; ``infer`` runs on the one that owns it.
    """

    def __init__(self, bundle: Bundle, device: str = "auto", precision: Precision | None = None) -> None:
        self.bundle = bundle
        self.plan = bundle.plan
        self.device = choose_device(device)
        self.precision: Precision = precision or fastest_precision(self.device)
        self.network = bundle.network().to(self.device)

    def segment(self, volume: Volume, look: Look | None = None) -> Mask:
        """The mask of a volume, on the volume's own grid; ``look`` as ``infer`` takes it.

        Raises ``ScanUnusable`` when the volume does not fit the model.
        """
        return self.finish(self.infer(self.prepare(volume), look), volume)

    def prepare(self, volume: Volume, limits: Limits = DEFAULT_LIMITS) -> Prepared:
        """The volume on the network's grid, normalised."""
        return prepare(volume, self.plan, limits)

    @torch.inference_mode()
    def infer(self, prepared: Prepared, look: Look | None = None) -> NDArray[np.unsignedinteger]:
        """Class indices (X, Y, Z) on the scan's own grid.

        ``look`` is shown the blended scores (classes, X, Y, Z) on the device and the network's grid, before they become
        classes; it must neither change nor keep them.
        """
        scores = self._scores(prepared.image)
        if look is not None:
            look(scores, prepared.placement)
        return restore(scores, prepared.placement)

    def finish(self, classes: NDArray[np.unsignedinteger], volume: Volume) -> Mask:
        """Class indices to the labels' values."""
        labels = self.bundle.labels
        values = np.array(labels.values, dtype=np.uint8 if max(labels.values) < 256 else np.uint16)
        return Mask(values[classes], volume.geometry, volume.source, labels)

    def warm_up(self) -> None:
        """Run one empty tile, so that the first scan does not pay for kernels being set up."""
        with torch.inference_mode():
            self._slide(torch.zeros(len(self.plan.channels), *self.plan.tile))

    def _scores(self, image: Tensor) -> Tensor:
        """Scores (classes, X, Y, Z) of an image (channels, X, Y, Z), on the device."""
        if self.plan.dimensions == 3:
            return self._slide(image)
        scores = torch.empty(self.plan.network.classes, *image.shape[1:], device=self.device)
        for at in range(image.shape[-1]):
            scores[..., at] = self._slide(image[..., at])
        return scores

    def _slide(self, image: Tensor) -> Tensor:
        return scores_of(image, self.network, self.plan, self.device, self.precision)
