"""A scan's way through the server, from its upload to its mask."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import TypeVar
from weakref import ref

from anyio import CapacityLimiter, to_thread
from starlette.datastructures import UploadFile

from skipseg.models.allocator import give_back_after
from skipseg.models.inference.certainty import Doubt
from skipseg.models.inference.engine import Engine
from skipseg.models.inference.flight import Flight
from skipseg.models.inference.predictor import Predictor
from skipseg.models.inference.wishes import Wishes
from skipseg.models.memory import memory_permitting
from skipseg.models.preprocess import Located, fill, locate
from skipseg.models.scans.dicom.choice import AS_STORED, SeriesChoice
from skipseg.models.scans.limits import Limits
from skipseg.models.scans.maps import SUFFIX, coarse, encode_map
from skipseg.models.scans.masks import MASK_FORMATS, encode_mask, mask_file, mask_suffix, own_format
from skipseg.models.scans.nifti_volume import encode_volume
from skipseg.models.scans.reader import read_channels
from skipseg.models.scans.volume import Mask, Source
from skipseg.models.series_rules import with_rules
from skipseg.models.trust import trust_in
from skipseg.service.beside import SUMMARY, UNCERTAINTY, Part
from skipseg.service.observing.record import RequestRecord, Stages
from skipseg.service.uploads import source_of
from skipseg.service.waiting.leftovers import Leftovers
from skipseg.service.waiting.line import Line
from skipseg.service.waiting.readers import Readers, Size
from skipseg.service.waiting.room import Room

Result = TypeVar("Result")


@dataclass(frozen=True)
class WrittenMask:
    """A mask as bytes, ready to be sent, and what was asked for beside it."""

    content: bytes
    media_type: str
    suffix: str
    backend: str  # what ran the network
    beside: tuple[Part, ...] = ()
    series: str = ""  # of DICOM: the UID of what was read
    notes: tuple[str, ...] = ()  # how the scan was read, and what the file lacks


@dataclass(frozen=True)
class Wanted:
    """What is to be written: the mask in ``format`` (None: the scan's own), and what comes beside it."""

    format: str | None = None
    beside: frozenset[str] = frozenset()

    @property
    def judged(self) -> bool:
        """Whether somebody reads how far the mask may be trusted."""
        return self.format in ("json", "dicom-sr") or SUMMARY in self.beside


class Segmenter:
    """Takes scans through threads for what the processor does, and through the engine for the network."""

    def __init__(self, engine: Engine, line: Line, room: Room, threads: int, limits: Limits) -> None:
        self.engine, self.line, self.room = engine, line, room
        self.limits = limits
        self._limiter = CapacityLimiter(threads)
        self._readers = Readers(threads, engine.seconds_left)

    async def segment(
        self,
        scans: list[UploadFile],
        predictor: Predictor,
        wishes: Wishes,
        wanted: Wanted,
        record: RequestRecord,
        choice: SeriesChoice = AS_STORED,
    ) -> WrittenMask:
        """The mask of a scan whose channels are ``scans``, written as it is wanted.

        Of a study of DICOM ``choice`` says which series is read, or else the model's plan.

        Raises ``QueueFull``, and the ``ScanError`` that reading, preparing or writing it raises.
        """
        choice = with_rules(choice, predictor.plan)
        way, stages = _Way(predictor, wishes, self.limits, wanted, record, choice), record.stages
        with self.line.place(), memory_permitting():
            async with AsyncExitStack() as held:
                leftovers = held.enter_context(Leftovers())
                size, asked = way.size(scans), perf_counter()
                async with self._readers.turn(size):
                    stages.add("queue", perf_counter() - asked)
                    source, located = await self._in_thread(stages, partial(way.open, scans, leftovers))
                    leftovers.holder = ref(located)
                    count = leftovers.held = predictor.foresee(located.placement, wishes)
                    await held.enter_async_context(self.room.hold(count))
                    flight = await self._in_thread(stages, partial(way.depart, located))
                    del located  # it holds the scan, which nobody needs any more
                    leftovers.holder = ref(flight)
                    held.enter_context(self._readers.ahead(flight, size))
                await self._fly(flight, stages)
                return await self._in_thread(stages, partial(way.arrive, flight, source, count))

    async def rewrite(self, scans: list[UploadFile], record: RequestRecord, choice: SeriesChoice = AS_STORED) -> bytes:
        """The scan whose channels are ``scans`` as NIfTI; raises ``QueueFull``, and the ``ScanError`` of reading."""

        def work() -> bytes:
            with record.stages.measure("read"):
                volume = read_channels([source_of(scan) for scan in scans], self.limits, choice)
            record.shape = volume.voxels.shape
            with record.stages.measure("write"):
                content = encode_volume(volume)
            give_back_after(volume.voxels.nbytes)
            return content

        with self.line.place(), memory_permitting():
            async with self._readers.turn(None):
                return await self._in_thread(record.stages, work)

    async def _in_thread(self, stages: Stages, work: Callable[[], Result]) -> Result:
        return await to_thread.run_sync(_queued(stages, work), limiter=self._limiter)

    async def _fly(self, flight: Flight, stages: Stages) -> None:
        await asyncio.wrap_future(self.engine.fly(flight))
        stages.add("queue", flight.began - flight.asked, flight.began)
        stages.add("network", flight.ended - flight.began, flight.ended)


@dataclass(frozen=True)
class _Way:
    """The three parts of a scan's way, each to be run on one thread, each noting what it took."""

    predictor: Predictor
    wishes: Wishes
    limits: Limits
    wanted: Wanted
    record: RequestRecord
    choice: SeriesChoice

    def size(self, scans: list[UploadFile]) -> Size | None:
        """About how much work it is; None where a roi decides that."""
        if self.wishes.roi is not None:
            return None
        count = sum(scan.size or 0 for scan in scans)
        return Size(self.predictor.backend, self.predictor.way(self.wishes), count)

    def open(self, scans: list[UploadFile], leftovers: Leftovers) -> tuple[Source, Located]:
        with self.record.stages.measure("read"):
            volume = read_channels([source_of(scan) for scan in scans], self.limits, self.choice)
        leftovers.held = volume.voxels.nbytes
        self.record.shape = volume.voxels.shape
        with self.record.stages.measure("preprocess"):
            return volume.source, locate(volume, self.predictor.plan, self.limits, self.wishes.roi)

    def depart(self, located: Located) -> Flight:
        with self.record.stages.measure("preprocess"):
            look = [Doubt] if self.wanted.judged else []
            return self.predictor.flight(fill(located, self.predictor.plan), more=look, wishes=self.wishes)

    def arrive(self, flight: Flight, source: Source, held: int) -> WrittenMask:
        with self.record.stages.measure("postprocess"):
            mask = self.predictor.finish(flight, source)
        with self.record.stages.measure("write"):
            written = self._written(mask, flight, source)
        give_back_after(held)
        return written

    def _written(self, mask: Mask, flight: Flight, source: Source) -> WrittenMask:
        name, beside = self.wanted.format or own_format(mask.source), []
        if self.wanted.judged:
            mask = self._judged(mask, flight)
        if SUMMARY in self.wanted.beside:
            form = MASK_FORMATS["json"]
            beside.append(Part(SUMMARY, encode_mask(mask, form.name), form.media_type, form.suffix))
        if UNCERTAINTY in self.wanted.beside:
            form = MASK_FORMATS["nifti"]
            maps = self.predictor.maps(flight, source)
            beside += [Part(one.name, encode_map(coarse(one)), form.media_type, SUFFIX) for one in maps]
        file, media_type, suffix = mask_file(mask, name), MASK_FORMATS[name].media_type, mask_suffix(mask, name)
        return WrittenMask(
            file.content, media_type, suffix, self.predictor.told(flight), tuple(beside), source.series, file.notes
        )

    def _judged(self, mask: Mask, flight: Flight) -> Mask:
        doubt = next(sink for sink in flight.sinks if isinstance(sink, Doubt))
        return mask.judged(trust_in(mask, doubt.entropy, self.predictor.bundle.manifest.training.ranges))


def _queued(stages: Stages, work: Callable[[], Result]) -> Callable[[], Result]:
    """``work``, noting how long it waited for its thread."""
    asked = perf_counter()

    def run() -> Result:
        stages.add("queue", perf_counter() - asked)
        return work()

    return run
