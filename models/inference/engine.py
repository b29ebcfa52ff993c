"""Tiles of all scans in flight, in one queue, on the one thread that owns a device.

Requests hand over *scans in flight*, and the engine takes *tiles* from them: tiles of one backend have one shape, so
those of several scans and users share a batch, and a small scan never waits for a large one ahead of it. The thread
blocks while there is nothing in flight, so an idle server costs nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from time import perf_counter
from typing import TypeVar
from weakref import WeakKeyDictionary

import torch

from skipseg.models.inference.backends.backend import Backend
from skipseg.models.inference.fairness import in_turn
from skipseg.models.inference.flight import Flight
from skipseg.models.inference.tiles import Tile
from skipseg.models.memory import ran_out

FIRST_GUESS_S = 0.05  # of a tile, before one was run
SMOOTHING = 0.2
CHORES_S = 0.01  # since the last batch; a small scan's take less, so it is answered without waiting for others' tiles

Result = TypeVar("Result")
Share = tuple[Flight, Sequence[Tile]]


class Engine:
    """Runs scans in flight; each is answered by a future that holds the flight itself once it is done.

    A future that is cancelled frees what its scan held before the next batch. An error in a batch is the error of the
    scan whose tiles cause it, and of no other.
    """

    def __init__(self) -> None:
        self.busy_s = 0.0  # spent on networks and blending, all in all
        self.tiles_run = 0
        self._turn = 0
        self._chores_s = 0.0  # spent since the last batch
        self._flights: dict[Flight, Future[Flight]] = {}
        self._pace: WeakKeyDictionary[Backend, float] = WeakKeyDictionary()
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="skipseg-engine", daemon=True)
        self._thread.start()

    def fly(self, flight: Flight) -> Future[Flight]:
        """Put a scan in flight."""
        answer: Future[Flight] = Future()
        with self._changed:
            if self._closing:
                answer.cancel()
                return answer
            self._flights[flight] = answer
            self._changed.notify()
        return answer

    @property
    def in_flight(self) -> int:
        """Scans that are not answered yet."""
        return len(self._flights)

    def seconds_left(self, flight: Flight | None = None) -> float:
        """What a scan, or all of them, still need of the device, by the pace so far."""
        flights = list(self._flights) if flight is None else [flight]
        return sum(one.tiles_left * self._pace.get(one.backend, FIRST_GUESS_S) for one in flights)

    def close(self, wait: bool = False) -> None:
        """Give up what is in flight; the thread ends after the batch it is in, which may be waited for.

        Without waiting a backend may still be in use, and must not be given to another engine.
        """
        with self._changed:
            self._closing = True
            self._changed.notify()
        if wait:
            self._thread.join()

    @torch.inference_mode()
    def _run(self) -> None:
        while (ordered := self._wait_for_turn()) is not None:
            began = perf_counter()
            self._turn += 1
            try:
                self._step(ordered)
            except Exception as error:  # noqa: BLE001 - a device that fails for good must not leave anybody waiting
                self._fail_all(ordered, error)
            self.busy_s += perf_counter() - began
            self._answer_those_done()
            del ordered  # or what has left would be held until somebody else comes

    def _step(self, ordered: Sequence[Flight]) -> None:
        """A chore of the first in order, if it has one; but a batch of the others once chores took ``CHORES_S``."""
        first, others = ordered[0], [flight for flight in ordered if not flight.has_chores]
        if first.has_chores and not (others and self._chores_s > CHORES_S):
            began = perf_counter()
            self._guarded(first, partial(_work, first))
            self._chores_s += perf_counter() - began
        else:
            self._chores_s = 0.0
            self._fill_a_batch(others)

    def _wait_for_turn(self) -> list[Flight] | None:
        """Scans in flight in their order; None when the engine is closed."""
        while True:
            with self._changed:
                gone = self._given_up()
                if self._closing:
                    return None
                if self._flights:
                    return in_turn(list(self._flights), self._turn, perf_counter(), self.seconds_left)
                if not gone:
                    self._changed.wait()
            del gone  # outside of the lock: to let go of much memory takes a while

    def _given_up(self) -> list[Flight]:
        """Scans that nobody waits for any more, which are in flight no longer."""
        gone = [flight for flight, answer in self._flights.items() if self._closing or answer.cancelled()]
        for flight in gone:
            self._flights.pop(flight).cancel()
        return gone

    def _fill_a_batch(self, ordered: Sequence[Flight]) -> None:
        backend = ordered[0].backend
        shares: list[Share] = []
        room = backend.batch
        for flight in ordered:
            if not room or flight.backend is not backend or flight.has_chores:
                continue
            if tiles := self._guarded(flight, partial(flight.take, room)):
                shares.append((flight, tiles))
                room -= len(tiles)
        if shares:
            self._run_batch(backend, shares)

    def _run_batch(self, backend: Backend, shares: Sequence[Share]) -> None:
        """Run the network on tiles; where that fails, in smaller parts, until it shows whose fault it is."""
        error = self._attempt(backend, shares)
        count = sum(len(tiles) for _, tiles in shares)
        if error is None:
            return
        if ran_out(error):
            _free(backend.device)
            backend.batch = min(backend.batch, max(count // 2, 1))
        if count == 1 or (len(shares) == 1 and not ran_out(error)):
            self._failed(shares[0][0], error)
            return
        most = backend.batch
        parts = [(flight, tiles[at : at + most]) for flight, tiles in shares for at in range(0, len(tiles), most)]
        for flight, tiles in parts:
            if flight in self._flights and flight.backend is backend:  # it failed, or moved, in the part before
                self._run_batch(backend, [(flight, tiles)])

    def _attempt(self, backend: Backend, shares: Sequence[Share]) -> Exception | None:
        began = perf_counter()
        try:
            inputs = [one for flight, tiles in shares for one in flight.inputs(tiles)]
            answers = iter(backend(torch.stack(inputs)).split([len(tiles) for _, tiles in shares]))
            _wait_for(backend.device)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not end the thread that everybody needs
            return error.with_traceback(None) if ran_out(error) else error  # its frames hold what ran it out
        for flight, tiles in shares:
            self._guarded(flight, partial(flight.add, tiles, next(answers)))
        self.tiles_run += len(inputs)
        self._note_pace(backend, (perf_counter() - began) / len(inputs))
        return None

    def _guarded(self, flight: Flight, work: Callable[[], Result]) -> Result | None:
        try:
            return work()
        except Exception as error:  # noqa: BLE001 - as above
            failure = error.with_traceback(None) if ran_out(error) else error
        self._failed(flight, failure)
        return None

    def _failed(self, flight: Flight, error: Exception) -> None:
        """Out of memory: once more on the spare backend, if there is one. Anything else is the scan's answer."""
        if ran_out(error) and flight.spare is not None:
            spare, flight.spare = flight.spare, None
            self._guarded(flight, lambda: flight.restart(spare()))
        else:
            self._fail(flight, error)

    def _fail(self, flight: Flight, error: Exception) -> None:
        with self._changed:
            answer = self._flights.pop(flight, None)
        flight.drop()
        if answer is not None and answer.set_running_or_notify_cancel():
            answer.set_exception(error)

    def _fail_all(self, flights: Sequence[Flight], error: Exception) -> None:
        for flight in flights:
            self._fail(flight, error)

    def _answer_those_done(self) -> None:
        with self._changed:
            done = [flight for flight in self._flights if flight.is_done]
            answers = [(flight, self._flights.pop(flight)) for flight in done]
        for flight, answer in answers:
            if answer.set_running_or_notify_cancel():
                answer.set_result(flight)

    def _note_pace(self, backend: Backend, seconds: float) -> None:
        before = self._pace.get(backend, seconds)
        self._pace[backend] = before + SMOOTHING * (seconds - before)


def _work(flight: Flight) -> None:
    """One chore, to its end."""
    flight.work()
    _wait_for(flight.backend.device)


def _wait_for(device: torch.device) -> None:
    """Launched is not done: an error shows here, and the pace is that of the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _free(device: torch.device) -> None:
    """What a GPU's allocator holds in reserve."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
