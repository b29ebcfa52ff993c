"""Plan and network on a device: the way from a volume to its mask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from skipseg import __version__
from skipseg.models.bundle import Bundle
from skipseg.models.cleanup import cleaned
from skipseg.models.inference.backends.backend import Backend
from skipseg.models.inference.backends.choice import Choice, choose
from skipseg.models.inference.backends.eager import Eager
from skipseg.models.inference.backends.probe import probe
from skipseg.models.inference.backends.uniform_tiles import UniformTiles
from skipseg.models.inference.flight import Flight, Priority, Way, fly_alone
from skipseg.models.inference.foresight import foresee
from skipseg.models.inference.own_grid import OwnGrid
from skipseg.models.inference.probabilities import Probabilities
from skipseg.models.inference.restore import ClassIndices
from skipseg.models.inference.slab import Sink
from skipseg.models.inference.uncertainty import Uncertainty
from skipseg.models.inference.whole import Whole
from skipseg.models.inference.wishes import AS_PLANNED, Wishes
from skipseg.models.labels import Labels
from skipseg.models.precision import Mode, Precision, choose_device, fastest_precision
from skipseg.models.preprocess import Placement, Prepared, prepare
from skipseg.models.scans.limits import DEFAULT_LIMITS, Limits
from skipseg.models.scans.maker import Maker
from skipseg.models.scans.maps import Map
from skipseg.models.scans.volume import Mask, Source, Volume

Indices = NDArray[np.unsignedinteger]
Look = Callable[[Tensor, Placement], None]


class Predictor:
    """A bundle, loaded onto a device.

    ``prepare`` and ``finish`` run on any thread; a ``flight`` is flown by whoever owns the device.
    """

    def __init__(
        self,
        bundle: Bundle,
        device: str = "auto",
        precision: Precision | None = None,
        *,
        backend: Backend | None = None,
        choice: Choice | None = None,
        overlap: float | None = None,
    ) -> None:
        self.bundle, self.plan = bundle, bundle.plan
        if backend is None:
            on = choose_device(device)
            backend = Eager(bundle.network().to(on), on, precision or fastest_precision(on))
        self.backend = backend
        self._processor: Backend | None = None
        self.choice = choice  # why this backend; None: the caller's own
        self.overlap = overlap  # of tiles, where less than the plan's is proven to do; None: the plan's

    def segment(self, volume: Volume, look: Look | None = None) -> Mask:
        """The mask of a volume, on the volume's own grid.

        ``look`` is shown the blended scores (classes, X, Y, Z) on the device and the network's grid; it must not change
        them. Raises ``ScanUnusable`` when the volume does not fit the model.
        """
        prepared = self.prepare(volume)
        flight = fly_alone(self.flight(prepared, more=[Whole] if look else []))
        for sink in flight.sinks:
            if look is not None and isinstance(sink, Whole):
                with torch.inference_mode():
                    look(sink.scores, prepared.placement)
        return self.finish(flight, volume.source)

    def prepare(self, volume: Volume, limits: Limits = DEFAULT_LIMITS, wishes: Wishes = AS_PLANNED) -> Prepared:
        """The volume, or the roi that is wished, on the network's grid, normalised."""
        return prepare(volume, self.plan, limits, wishes.roi)

    def way(self, wishes: Wishes = AS_PLANNED) -> Way:
        """How scans are shown to the network; raises as ``Wishes.way_for`` does."""
        return wishes.way_for(self.plan, self.overlap)

    def told(self, flight: Flight) -> str:
        """What ran a flight, for the record of its mask, such as ``openvino bf16, overlap 0``.

        It may have gone to the processor when memory ran out.
        """
        backend, overlap = flight.backend, flight.way.overlap
        chosen = str(self.choice) if self.choice and backend is self.backend else f"{backend.name} {backend.precision}"
        return chosen if overlap == self.plan.overlap else f"{chosen}, overlap {overlap:g}"

    def foresee(self, placement: Placement, wishes: Wishes = AS_PLANNED) -> int:
        """Bytes that a scan with this placement holds at most on its way; raises as ``flight`` does."""
        plan = self.plan
        return foresee(placement, self.way(wishes), len(plan.channels), wishes, bool(plan.cleanup))

    def flight(
        self,
        prepared: Prepared,
        priority: Priority = "interactive",
        more: Sequence[Callable[[], Sink]] = (),
        wishes: Wishes = AS_PLANNED,
    ) -> Flight:
        """A prepared volume on its way to labels, to the maps that are wished, and to ``more`` sinks.

        Raises ``UsageError`` as ``Wishes.way_for`` does.
        """
        where = prepared.placement

        def sinks() -> list[Sink]:
            found: list[Sink] = [ClassIndices(where)]
            if wishes.probabilities is not None:
                found.append(Probabilities(where, self.plan.network.classes, wishes.probabilities))
            if wishes.uncertainty:
                found.append(Uncertainty(where))
            return [*found, *(make() for make in more)]

        return Flight(prepared.image, self.way(wishes), self.backend, sinks, priority, self._spare())

    def rehearsal(self) -> Flight:
        """A flight of one tile whose scores nobody needs: the first tile on a thread takes longer than later ones."""
        channels, way = len(self.plan.channels), self.way()
        return Flight(probe((channels, *way.tile))[0], way, self.backend, lambda: [Whole()])

    def finish(self, flight: Flight, source: Source) -> Mask:
        """What a flight arrives at, for a scan from ``source``: cleaned class indices turned to the labels' values."""
        labels = self.bundle.labels
        found = next(sink for sink in flight.sinks if isinstance(sink, ClassIndices))
        geometry, rules = found.placement.geometry, self.plan.cleanup
        asked = {index: rules[label.name] for index, label in enumerate(labels.all) if label.name in rules}
        classes = cleaned(found.result(), asked, geometry.voxel_volume if source.has_millimetres else 1.0)
        return Mask(valued(classes, labels), geometry, source, labels, self.maker)

    @property
    def maker(self) -> Maker:
        """What its masks say of where they come from."""
        manifest = self.bundle.manifest
        name, version = self.bundle.registered or (manifest.name, None)
        return Maker(name, version, manifest.weights_sha256, __version__)

    def maps(self, flight: Flight, source: Source) -> list[Map]:
        """The maps that were wished of a flight: probabilities, uncertainty."""
        return [
            Map(sink.name, sink.values, sink.scale, sink.placement.geometry, source)
            for sink in flight.sinks
            if isinstance(sink, OwnGrid) and sink.values is not None
        ]

    def _spare(self) -> Callable[[], Backend] | None:
        """Where a scan may go that does not fit on a GPU."""
        return None if self.backend.device.type == "cpu" else self._on_the_processor

    def _on_the_processor(self) -> Backend:
        """The reference in fp32, which needs no self-test; made once, when it is needed."""
        if self._processor is None:
            self._processor = Eager(self.bundle.network(), torch.device("cpu"), "fp32")
        return self._processor


def load_predictor(bundle: Bundle, device: torch.device, mode: Mode) -> Predictor:
    """A bundle on the fastest backend that answers as the reference does, self-tested and warm.

    ``fast`` takes the smaller overlap of tiles that the bundle proves, if it does; ``exact`` the plan's.
    """
    fastest, choice = choose(bundle.network(), bundle.plan, device, mode)
    backend = UniformTiles(fastest)
    fewer = bundle.manifest.fewer_tiles if mode == "fast" else None
    if fewer is None:
        return Predictor(bundle, backend=backend, choice=choice)
    told = replace(choice, reason=f"{choice.reason}; {fewer}")
    return Predictor(bundle, backend=backend, choice=told, overlap=fewer.overlap)


def valued(classes: Indices, labels: Labels) -> Indices:
    """The label value of each class index; nothing is copied where they are the same."""
    values: Indices = np.array(labels.values, dtype=np.uint8 if max(labels.values) < 256 else np.uint16)
    if np.array_equal(values, np.arange(len(values))):
        return classes.astype(values.dtype, copy=False)
    found: Indices = values[classes]
    return found
