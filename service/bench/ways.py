"""Ways from an image to its labels: MONAI's as people write it, and ours."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from monai.inferers.inferer import SlidingWindowInferer
from numpy.typing import NDArray
from torch import Tensor

from skipseg.models.bundle import Bundle
from skipseg.models.inference.flight import fly_alone
from skipseg.models.inference.predictor import load_predictor, valued
from skipseg.models.inference.restore import restore
from skipseg.models.inference.wishes import Wishes
from skipseg.models.precision import Mode, Precision, autocast, mode_of
from skipseg.models.preprocess import Placement, Prepared, prepare
from skipseg.models.scans.geometry import Geometry
from skipseg.models.scans.volume import Mask, Source, Volume

Values = NDArray[np.unsignedinteger]


class Way(Protocol):
    """A network made ready."""

    precision: Precision  # what it multiplies in
    backend: str
    reason: str  # why this backend
    tiles: int  # that the network saw in the last image

    def labels(self, image: Tensor) -> Values:
        """Label values (X, Y, Z) in main memory, of a normalised image (channels, X, Y, Z) there."""
        ...

    def segment(self, volume: Volume) -> Mask:
        """The mask of a scan, by the plan's preprocessing."""
        ...


class Monais:
    """``SlidingWindowInferer``, one window at a time, Gaussian; then ``argmax``."""

    backend = "torch"

    def __init__(self, bundle: Bundle, device: torch.device, precision: Precision) -> None:
        self.bundle, self.device, self.precision = bundle, device, precision
        on_gpu = ", whose convolutions in fp32 are TF32 on a GPU" if device.type == "cuda" else ""
        self.reason = f"what MONAI's inferer runs, with torch as it comes{on_gpu}"
        self.tiles = 0
        self.network = bundle.network().to(device)
        self.network.register_forward_hook(self._count)
        self.infer = SlidingWindowInferer(bundle.plan.tile, 1, bundle.plan.overlap, mode="gaussian")

    def labels(self, image: Tensor) -> Values:
        classes = self.logits(image).argmax(0).to(torch.uint8).cpu().numpy()
        return valued(classes, self.bundle.labels)

    def segment(self, volume: Volume) -> Mask:
        prepared = prepare(volume, self.bundle.plan)
        classes = restore(self.logits(prepared.image).float(), prepared.placement)
        return Mask(valued(classes, self.bundle.labels), volume.geometry, volume.source, self.bundle.labels)

    def logits(self, image: Tensor) -> Tensor:
        """(classes, X, Y, Z), on the device."""
        self.tiles = 0
        with torch.inference_mode(), autocast(self.device, self.precision):
            logits: Tensor = self.infer(image[None].to(self.device), self.network)[0]
        return logits

    def _count(self, network: torch.nn.Module, given: tuple[Tensor], answer: Tensor) -> None:
        self.tiles += len(given[0])


class Ours:
    """A scan in flight, on the backend that the self-test chose; with the plan's overlap, unless with less."""

    def __init__(self, bundle: Bundle, device: torch.device, mode: Mode, overlap: float | None = None) -> None:
        unproven = bundle.manifest.model_copy(update={"fewer_tiles": None})  # the overlap is what is said here
        self.predictor = load_predictor(replace(bundle, manifest=unproven), device, mode)
        assert self.predictor.choice is not None
        self.wishes = Wishes(overlap=bundle.plan.overlap if overlap is None else overlap)
        self.backend, self.reason = self.predictor.backend.name, self.predictor.choice.reason
        self.reason += "" if overlap is None else f"; tiles overlap by {overlap:g}"
        self.precision = self.predictor.backend.precision
        self.tiles = 0

    def labels(self, image: Tensor) -> Values:
        return self._finished(Prepared(image, as_it_is(image)), Source("nifti")).voxels

    def segment(self, volume: Volume) -> Mask:
        return self._finished(self.predictor.prepare(volume), volume.source)

    def _finished(self, prepared: Prepared, source: Source) -> Mask:
        flight = self.predictor.flight(prepared, wishes=self.wishes)
        self.tiles = flight.tiles_left
        return self.predictor.finish(fly_alone(flight), source)


def ways() -> dict[str, tuple[str, bool]]:
    """Name -> what people call it, and whether it is ours; the first is what the others are compared with."""
    return {
        "monai_fp32": ("MONAI, fp32", False),
        "monai_bf16": ("MONAI, bf16 autocast", False),
        "exact": ("skipseg, exact", True),
        "fast": ("skipseg, fast", True),
        "fewer": ("skipseg, fast, fewer tiles", True),
    }


def make_ready(name: str, bundle: Bundle, device: torch.device) -> Way:
    """One of ``ways`` by its name."""
    if name == "fewer":
        return Ours(bundle, device, "fast", fewest(bundle))
    if name in ("exact", "fast"):
        return Ours(bundle, device, mode_of(name))
    return Monais(bundle, device, "fp32" if name == "monai_fp32" else "bf16")


def fewest(bundle: Bundle) -> float:
    """The overlap of tiles that the bundle proves; none, where it proves nothing."""
    fewer = bundle.manifest.fewer_tiles
    return 0.0 if fewer is None else fewer.overlap


def as_it_is(image: Tensor) -> Placement:
    """An image whose grid is both the scan's and the network's."""
    x, y, z = image.shape[1:]
    geometry = Geometry((x, y, z), np.eye(4))
    box = (slice(0, x), slice(0, y), slice(0, z))
    return Placement(geometry, geometry.turn_to(geometry.orientation), box, (x, y, z))
