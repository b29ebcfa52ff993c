"""A scan's way through the server, from its upload to its mask."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import TypeVar

import numpy as np
from anyio import CapacityLimiter, to_thread
from numpy.typing import NDArray
from starlette.datastructures import UploadFile

from skipseg.models.inference.predictor import Predictor
from skipseg.models.preprocess import Prepared
from skipseg.models.scans.limits import Limits
from skipseg.models.scans.masks import MASK_FORMATS, encode_mask, mask_suffix
from skipseg.models.scans.reader import read_channels
from skipseg.models.scans.volume import Volume
from skipseg.service.device import Device
from skipseg.service.memory import memory_permitting
from skipseg.service.record import RequestRecord, Stages
from skipseg.service.uploads import source_of

Result = TypeVar("Result")


@dataclass(frozen=True)
class WrittenMask:
    """A mask as bytes, ready to be sent."""

    content: bytes
    media_type: str
    suffix: str


class Segmenter:
    """Takes scans through threads for what the processor does, and through the device's thread for the network."""

    def __init__(self, device: Device, threads: int, limits: Limits) -> None:
        self.device = device
        self.limits = limits
        self._limiter = CapacityLimiter(threads)

    async def segment(
        self, scans: list[UploadFile], predictor: Predictor, format: str | None, record: RequestRecord
    ) -> WrittenMask:
        """The mask of a scan whose channels are ``scans``, written in ``format`` (None: the scan's own).

        Raises ``QueueFull``, and the ``ScanError`` that reading, preparing or writing it raises.
        """
        way = _Way(predictor, self.limits, format, record)
        with self.device.place(), memory_permitting():
            volume, prepared = await self._in_thread(record.stages, lambda: way.open(scans))
            classes = await self._on_device(record.stages, lambda: way.infer(prepared))
            return await self._in_thread(record.stages, lambda: way.close(classes, volume))

    async def _in_thread(self, stages: Stages, work: Callable[[], Result]) -> Result:
        return await to_thread.run_sync(_queued(stages, work), limiter=self._limiter)

    async def _on_device(self, stages: Stages, work: Callable[[], Result]) -> Result:
        return await asyncio.wrap_future(self.device.submit(_queued(stages, work)))


@dataclass(frozen=True)
class _Way:
    """The three parts of a scan's way, each to be run on one thread, each noting what it took."""

    predictor: Predictor
    limits: Limits
    format: str | None
    record: RequestRecord

    def open(self, scans: list[UploadFile]) -> tuple[Volume, Prepared]:
        with self.record.stages.measure("read"):
            volume = read_channels([source_of(scan) for scan in scans], self.limits)
        self.record.shape = volume.voxels.shape
        with self.record.stages.measure("preprocess"):
            return volume, self.predictor.prepare(volume, self.limits)

    def infer(self, prepared: Prepared) -> NDArray[np.unsignedinteger]:
        with self.record.stages.measure("network"):
            return self.predictor.infer(prepared)

    def close(self, classes: NDArray[np.unsignedinteger], volume: Volume) -> WrittenMask:
        with self.record.stages.measure("postprocess"):
            mask = self.predictor.finish(classes, volume)
        with self.record.stages.measure("write"):
            content = encode_mask(mask, self.format)
        return WrittenMask(
            content, MASK_FORMATS[self.format or mask.source.format].media_type, mask_suffix(mask, self.format)
        )


def _queued(stages: Stages, work: Callable[[], Result]) -> Callable[[], Result]:
    """``work``, noting how long it waited for its thread."""
    asked = perf_counter()

    def run() -> Result:
        stages.add("queue", perf_counter() - asked)
        return work()

    return run
