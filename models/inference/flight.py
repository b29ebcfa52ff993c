"""One scan under way through the network: the tiles it still has, and the scores that blend meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations
from time import perf_counter
from typing import Literal

import torch
from torch import Tensor

from skipseg.models.inference.accumulator import Accumulator, best_axis
from skipseg.models.inference.backends.backend import Backend
from skipseg.models.inference.slab import Sink, Slab
from skipseg.models.inference.tiles import Frame, Tile, Tiling
from skipseg.models.memory import ran_out
from skipseg.models.plan import Plan

Priority = Literal["interactive", "batch"]


@dataclass(frozen=True)
class Way:
    """How a scan is shown to a network."""

    tile: tuple[int, int, int]  # of a plan of two dimensions a part of one slice
    dimensions: int
    classes: int
    overlap: float
    mirrored: tuple[tuple[int, ...], ...] = ((),)  # each tile is shown once per entry, with those axes reversed

    @classmethod
    def of(cls, plan: Plan, overlap: float | None = None, mirror: Sequence[int] = ()) -> Way:
        """The plan's, with another ``overlap`` if given; ``mirror``: also reversed along any of these axes."""
        x, y, z = (*plan.tile, 1)[:3]
        views = chain.from_iterable(combinations(mirror, count) for count in range(len(mirror) + 1))
        return cls(
            (x, y, z), plan.dimensions, plan.network.classes, plan.overlap if overlap is None else overlap, tuple(views)
        )


class Flight:
    """Tiles of an image (channels, X, Y, Z) in order, and sinks that take the blended scores row by row.

    Whoever owns the device calls ``take``, runs the network, calls ``add``; and ``work`` while
    ``has_chores``. Nothing large is held before the first tile is taken.
    """

    def __init__(
        self,
        image: Tensor,
        way: Way,
        backend: Backend,
        sinks: Callable[[], Sequence[Sink]],
        priority: Priority = "interactive",
        spare: Callable[[], Backend] | None = None,
    ) -> None:
        self.way, self.priority = way, priority
        self.spare = spare  # makes the backend to begin anew on when memory runs out
        self._image, self._make_sinks = image, sinks
        self.asked = perf_counter()
        self.began = self.ended = self.asked  # when its first tile was taken, and when its last scores had left
        self.restart(backend)

    def restart(self, backend: Backend) -> None:
        """From the first tile, on another backend."""
        self.backend = backend
        self._frame = Frame.around(self._image.shape[1:], self.way.tile)
        self._tiling = Tiling.over(self._frame.size, self.way.tile, self.way.overlap)
        self._along = best_axis(self._tiling)
        self._tiles = _views(self._tiling.tiles(self._along, backend.device), self.way.mirrored)
        self._next: Tile | None = next(self._tiles)
        self.tiles_left, self._out = len(self._tiling) * len(self.way.mirrored), 0
        self.sinks = tuple(self._make_sinks())
        self._padded = torch.empty(0)
        self._accumulator: Accumulator | None = None
        self._chores: Iterator[None] | None = None
        self.is_done = False

    @property
    def has_chores(self) -> bool:
        """Whether scores must leave before the next tile."""
        return self._chores is not None

    def take(self, most: int) -> list[Tile]:
        """The next tiles there is room for."""
        if self._accumulator is None:
            self._begin()
        assert self._accumulator is not None
        taken: list[Tile] = []
        while len(taken) < most and self._next is not None and self._accumulator.holds(self._next):
            taken.append(self._next)
            self._next = next(self._tiles, None)
        self._out += len(taken)
        return taken

    def inputs(self, tiles: Sequence[Tile]) -> list[Tensor]:
        """What the network sees of them: each (channels, *tile)."""
        return [self._flat(tile.of(self._padded)) for tile in tiles]

    def add(self, tiles: Sequence[Tile], logits: Tensor) -> None:
        """Blend the network's answers (N, classes, *tile) in."""
        assert self._accumulator is not None
        for tile, answer in zip(tiles, logits.reshape(len(tiles), -1, *self.way.tile), strict=True):
            self._accumulator.add(tile, tile.back(answer))
        self.tiles_left -= len(tiles)
        self._out -= len(tiles)
        if self._out:
            return
        if self._next is None or not self._accumulator.holds(self._next):
            self._chores = self._let_leave(self._accumulator)

    def work(self) -> None:
        """One chore."""
        assert self._chores is not None
        if next(self._chores, True):  # a chore yields None: True is the end
            self._chores = None
            if self._next is None:
                self.drop()
                self.is_done, self.ended = True, perf_counter()

    def _begin(self) -> None:
        self.began = perf_counter()
        device = self.backend.device
        self._padded = self._frame.filled(self._image.to(device))
        margin = max(sink.margin(self._along) for sink in self.sinks)
        self._accumulator = Accumulator(self._tiling, self._along, self.way.classes, device, margin)

    def drop(self) -> None:
        """Let go of everything large; what the sinks made stays."""
        self._accumulator = self._chores = None
        self._image = self._padded = torch.empty(0)

    def _let_leave(self, accumulator: Accumulator) -> Iterator[None]:
        """Show final rows to the sinks, and make room."""
        inside, rows = self._frame.inside[self._along], self._tiling.size[self._along]
        final = rows if self._next is None else self._next.place[self._along].start
        start, stop = max(accumulator.base, inside.start), min(final, inside.stop)
        if stop > start:
            around = [slice(None), *self._frame.inside]
            around[self._along + 1] = slice(None)
            scores = accumulator.between(start, stop)[tuple(around)]
            slab = Slab(scores, self._along, start - inside.start, stop - inside.start, inside.stop - inside.start)
            for sink in self.sinks:
                yield from sink.take(slab)
            final = min(final, *(sink.keeps + inside.start for sink in self.sinks))
        if self._next is not None:
            accumulator.forget(final)

    def _flat(self, tile: Tensor) -> Tensor:
        """Without the last axis when the network has two dimensions."""
        return tile[..., 0] if self.way.dimensions == 2 else tile


def _views(tiles: Iterator[Tile], mirrored: Sequence[tuple[int, ...]]) -> Iterator[Tile]:
    """Each tile in every view that is wanted of it, which share its weight."""
    share = 1 / len(mirrored)
    for tile in tiles:
        first, *others = tile.weights
        for axes in mirrored:
            yield Tile(tile.place, (first * share, *others), axes)


@torch.inference_mode()
def fly_alone(flight: Flight) -> Flight:
    """Run a scan to its end on the calling thread; where memory runs out, anew on its spare backend."""
    try:
        return _flown(flight)
    except (MemoryError, RuntimeError) as error:
        if flight.spare is None or not ran_out(error):
            raise
    flight.restart(flight.spare())
    return _flown(flight)


def _flown(flight: Flight) -> Flight:
    while not flight.is_done:
        if flight.has_chores:
            flight.work()
        else:
            tiles = flight.take(flight.backend.batch)
            flight.add(tiles, flight.backend(torch.stack(flight.inputs(tiles))))
    return flight
