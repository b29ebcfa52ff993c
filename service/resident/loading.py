"""Versions of models on their way into memory: each is loaded once however many ask, one after the other."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from time import monotonic

import torch

from skipseg.models.bundle import Bundle
from skipseg.models.errors import NotReady, SkipsegError
from skipseg.models.inference.engine import Engine
from skipseg.models.inference.predictor import Predictor, load_predictor
from skipseg.models.precision import Mode
from skipseg.models.registry import ModelVersion, Registry
from skipseg.service.observing.logs import NAME
from skipseg.service.resident.residents import Resident, Residents
from skipseg.service.waiting.line import Line

log = logging.getLogger(NAME)

COPIES = 2  # of the weights: the network's own, and what a backend makes of them
RETRY_S = 30.0  # until a version that could not be loaded is tried again, when somebody asks for it
GIB = 1024**3


@dataclass(frozen=True)
class Loaded:
    """One version of one model, ready to predict."""

    version: ModelVersion
    predictor: Predictor
    bytes: int


@dataclass(frozen=True)
class Failure:
    """Why a version could not be loaded, and when that was."""

    reason: str
    at: float  # by ``monotonic``


Entry = Resident[Future[Loaded]]  # one that is not done is being loaded; one that failed is no resident


@dataclass(frozen=True)
class Load:
    """One version to be loaded. What it replaces, if anything, goes on until it is ready.

    ``if_room``: nobody asks for it, so that no other has to leave.
    """

    entry: Entry
    instead_of: str | None
    if_room: bool


class NoRoomLeft(Exception):
    """Others would have to leave for a version that nobody asks for."""


class Loader:
    """Loads on one thread of its own: a self-test that another load disturbs would choose the wrong backend.

    ``places`` bounds how many requests may wait for versions that are being loaded. A version is ready once it has
    answered on the thread of ``engine``.
    """

    def __init__(
        self, registry: Registry, device: torch.device, mode: Mode, budget: int, engine: Engine, places: int
    ) -> None:
        self.registry, self.device, self.mode, self._engine = registry, device, mode, engine
        self._residents: Residents[Future[Loaded]] = Residents(budget)
        self._failures: dict[str, Failure] = {}
        self.outcomes = {"loaded": 0, "failed": 0}  # of all attempts so far
        self._changed = threading.Condition()  # guards both
        self._line = Line(places, lambda: 0.0)
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="skipseg-loading")

    @property
    def memory(self) -> tuple[int, int]:
        """Bytes that models take, and that they may take."""
        with self._changed:
            return self._residents.used, self._residents.budget

    def all(self) -> tuple[Loaded, ...]:
        """Every version that is ready, by name and number."""
        with self._changed:
            ready = [one.item.result() for one in self._residents if one.item.done()]
        return tuple(sorted(ready, key=lambda loaded: (loaded.version.name, loaded.version.version)))

    def loaded(self, reference: str | None) -> Loaded | None:
        """A version, if it is ready."""
        return next((one for one in self.all() if one.version.reference == reference), None)

    def is_coming(self, reference: str | None) -> bool:
        """Whether a version is being loaded, or about to be."""
        with self._changed:
            found = self._residents.find(reference or "")
            return found is not None and not found.item.done()

    def failure(self, reference: str | None) -> str | None:
        """Why a version could not be loaded."""
        failure = self._failures.get(reference or "")
        return failure.reason if failure else None

    def begin(self, reference: str, instead_of: str | None = None, if_room: bool = False) -> None:
        """Load a version unless it is there, or on its way; raises ``NotReady`` if that failed a moment ago."""
        with self._changed:
            self._entry(reference, instead_of, if_room)

    @asynccontextmanager
    async def hold(self, reference: str) -> AsyncIterator[Loaded]:
        """Keep a version in memory, once it is there; raises ``NotReady``, ``QueueFull``."""
        with self._changed:
            entry = self._entry(reference)
            self._residents.use(entry)
        try:
            if not entry.item.done():
                with self._line.place():
                    await asyncio.wrap_future(entry.item)
            yield entry.item.result()
        finally:
            self._release(entry)

    def let_go(self, reference: str) -> None:
        """A version is not in the registry any more: requests under way are the last it answers."""
        with self._changed:
            self._failures.pop(reference, None)
            if (found := self._residents.find(reference)) is not None:
                self._residents.leave(found)

    def _entry(self, reference: str, instead_of: str | None = None, if_room: bool = False) -> Entry:
        if (found := self._residents.find(reference)) is not None:
            return found
        failure = self._failures.get(reference)
        if failure is not None and monotonic() - failure.at < RETRY_S:
            raise NotReady(f"{reference} could not be loaded: {failure.reason}")
        coming = Future[Loaded]()
        coming.set_running_or_notify_cancel()  # one that waits and leaves cannot cancel it for the others
        entry = self._residents.come(reference, coming)
        self._residents.use(entry)  # by the loading itself
        self.thread.submit(self._load, Load(entry, instead_of, if_room))
        return entry

    def _load(self, load: Load) -> None:
        entry = load.entry
        try:
            loaded = self._open(load)
        except NoRoomLeft:
            log.info("model not loaded", extra={"fields": {"model": entry.key, "reason": "no room is left"}})
        # Out of memory, a driver that is too old, an error of ours: whatever it is, the other models must still load.
        except Exception as error:  # noqa: BLE001
            self._give_up(entry, _told(entry.key, error))
        else:
            self._let_in(load, loaded)
        finally:
            self._release(entry)

    def _open(self, load: Load) -> Loaded:
        version = self.registry.resolve(load.entry.key)
        bundle = version.open()
        count = bytes_of(bundle)
        with self._changed:
            self._take_room(load, count)
        predictor = load_predictor(bundle, self.device, self.mode)
        self._rehearse(predictor)
        return Loaded(version, predictor, count)

    def _rehearse(self, predictor: Predictor) -> None:
        """So that the first scan takes no longer than the next; that the answer is right was tested before."""
        with suppress(CancelledError):  # the server ends
            if (error := self._engine.fly(predictor.rehearsal()).exception()) is not None:
                log.warning("rehearsal failed", extra={"fields": {"error": type(error).__name__}})

    def _take_room(self, load: Load, count: int) -> None:
        """Take bytes; those that must leave for it and are used still are waited for."""
        residents = self._residents
        if count > residents.budget:
            raise NotReady(
                f"it takes {count / GIB:.3g} GiB of memory; models may take {residents.budget / GIB:.3g} GiB on this "
                "server; raise SKIPSEG_MODEL_MEMORY"
            )
        if load.if_room and load.entry.users == 1 and residents.used + count > residents.budget:
            residents.leave(load.entry)
            raise NoRoomLeft
        while not residents.make_room(count, load.instead_of):
            self._changed.wait()
        load.entry.bytes = count

    def _let_in(self, load: Load, loaded: Loaded) -> None:
        with self._changed:
            self.outcomes["loaded"] += 1
            self._failures.pop(load.entry.key, None)
            load.entry.item.set_result(loaded)
            replaced = self._residents.find(load.instead_of or "")
            if replaced is not None and self._residents.used > self._residents.budget:
                self._residents.leave(replaced)
        choice = loaded.predictor.choice
        log.info("model loaded", extra={"fields": {"model": load.entry.key, "why": choice.reason if choice else None}})

    def _give_up(self, entry: Entry, reason: str) -> None:
        with self._changed:
            self.outcomes["failed"] += 1
            self._failures[entry.key] = Failure(reason, monotonic())
            self._residents.leave(entry)
            entry.bytes = 0
            entry.item.set_exception(NotReady(f"{entry.key} could not be loaded: {reason}"))

    def _release(self, entry: Entry) -> None:
        with self._changed:
            self._residents.release(entry)
            self._changed.notify_all()


def bytes_of(bundle: Bundle) -> int:
    """About what a bundle takes in memory once it is loaded."""
    return 4 * COPIES * bundle.manifest.members * bundle.plan.network.weights


def _told(reference: str, error: Exception) -> str:
    """Why a version could not be loaded, which goes into the log too."""
    if isinstance(error, SkipsegError):
        log.error("model failed", extra={"fields": {"model": reference, "code": error.code, "reason": str(error)}})
        return str(error)
    log.exception("model failed", extra={"fields": {"model": reference}})
    return "it could not be put on the device; the server's log says where it failed"
