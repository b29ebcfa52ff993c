"""Which version of which model answers: what the registry says at each request, as far as it is loaded."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from typing import Literal

import torch

from skipseg.models.errors import ModelConflict, ModelUnknown, NotReady, UsageError
from skipseg.models.inference.engine import Engine
from skipseg.models.plan import Plan
from skipseg.models.precision import Mode
from skipseg.models.registry import Registry
from skipseg.service.observing.logs import NAME
from skipseg.service.resident.loading import Loaded, Loader
from skipseg.service.resident.lookup import Lookup

log = logging.getLogger(NAME)

State = Literal["ready", "loading", "failed", "not loaded"]


class LoadedModels:
    """The registry's models, of which as many are in memory as ``budget`` bytes allow.

    A version that became live answers once it is loaded, and warm on the thread of ``engine``; until then the one
    before it does.
    """

    def __init__(
        self,
        registry: Registry,
        device: torch.device,
        mode: Mode,
        budget: int,
        engine: Engine,
        places: int = 16,
    ) -> None:
        self.registry = registry
        self.loading = True  # what was live when the server started
        self.device_label = _label(device)
        self.loader = Loader(registry, device, mode, budget, engine, places)
        self._lookup = Lookup(registry)
        self._live: dict[str, str] = {}  # name -> the version that the registry called live when asked last
        self._before: dict[str, str] = {}  # name -> the version that answered last
        self._search: Future[None] | None = None

    def start(self) -> None:
        """Load what is live in the background, so that the server answers meanwhile."""
        self._search = self.loader.thread.submit(self._start)

    def pick(self, reference: str | None) -> str:
        """``name@version`` that answers now to what a request names; none named stands for the only live model.

        What is not loaded begins to be. Raises ``ModelUnknown``, ``ModelConflict`` (a damaged registry), ``NotReady``,
        ``UsageError``.
        """
        if reference is None:
            reference = self._only()
        if "@" not in reference:
            return self._pick_live(reference)
        wanted = self._resolve(reference)
        self.loader.begin(wanted)
        return wanted

    @asynccontextmanager
    async def hold(self, reference: str | None) -> AsyncIterator[Loaded]:
        """The version that ``pick`` names, kept in memory; waits until it is loaded.

        Raises what ``pick`` raises, and ``QueueFull``.
        """
        async with self.loader.hold(self.pick(reference)) as loaded:
            yield loaded

    @asynccontextmanager
    async def warmed(self, name: str, version: int) -> AsyncIterator[None]:
        """Load a version that is about to become live, so that it answers from the next request on.

        What answers now goes on meanwhile. Raises ``ModelUnknown``, ``QueueFull``, and ``NotReady`` when it cannot be
        loaded.
        """
        coming, before = self._resolve(f"{name}@{version}"), self.answering(name)
        self.loader.begin(coming, instead_of=before.version.reference if before else None)
        async with self.loader.hold(coming):
            yield

    def answering(self, name: str) -> Loaded | None:
        """The version that answers at once when a request says ``name`` alone."""
        live, before = self._live.get(name), self._before.get(name)
        return self.loader.loaded(live) or self.loader.loaded(before)

    def plan(self, reference: str) -> Plan | None:
        """How scans are shown to a version, if it is loaded."""
        loaded = self.loader.loaded(reference)
        return None if loaded is None else loaded.predictor.plan

    @property
    def failed(self) -> dict[str, str]:
        """Names whose live version could not be loaded, and why."""
        return {name: reason for name, live in list(self._live.items()) if (reason := self._why_not(name, live))}

    def state(self, name: str) -> State:
        """Where a model of the registry stands."""
        if self.answering(name) is not None:
            return "ready"
        if name in self.failed:
            return "failed"
        return "loading" if self.loading or self.loader.is_coming(self._live.get(name)) else "not loaded"

    def references(self) -> tuple[str, ...]:
        """``name@version`` of everything in memory."""
        return tuple(loaded.version.reference for loaded in self.loader.all())

    def check_ready(self) -> None:
        """Raise ``NotReady`` until what was live at the start is loaded, and while nothing answers."""
        if self.loading:
            raise NotReady("models are being loaded and warmed up; ask again in a moment")
        if not self.references():
            if self._search is None or self._search.done():
                self._search = self.loader.thread.submit(self._load_live)
            raise NotReady(f"no model is loaded; {self._remedy()}")

    def _pick_live(self, name: str) -> str:
        live = self._live_version(name)
        before = self._before_version(name, live)
        try:
            self.loader.begin(live, instead_of=before)
        except NotReady:
            if before is None:
                raise
            self.loader.begin(before)
            return before
        if self.loader.loaded(live) is not None:
            self._before[name] = live
        elif before is not None and self.loader.loaded(before) is not None:
            return before
        return live

    def _live_version(self, name: str) -> str:
        """What the registry calls live; what it said last when it cannot be read just now."""
        try:
            self._live[name] = self._lookup.resolve(name).reference
        except ModelUnknown:
            for known in (self._live, self._before):
                self.loader.let_go(known.pop(name, ""))
            raise
        except (ModelConflict, OSError):
            if name not in self._live:
                raise
        self._before.setdefault(name, self._live[name])
        return self._live[name]

    def _before_version(self, name: str, live: str) -> str | None:
        """What answers as long as the live version does not, if the registry still has it."""
        before = self._before[name]
        try:
            return self._resolve(before) if before != live else None
        except ModelUnknown:
            del self._before[name]
            return None

    def _resolve(self, reference: str) -> str:
        try:
            return self._lookup.resolve(reference).reference
        except ModelUnknown:
            self.loader.let_go(reference)
            raise

    def _only(self) -> str:
        live = [model.name for model in self.registry.models() if model.live is not None]
        if not live:
            raise NotReady(f"no model is loaded; {self._remedy()}")
        if len(live) > 1:
            raise UsageError(f"say which model, such as ?model={live[0]}; live are: {', '.join(live)}")
        return live[0]

    def _start(self) -> None:
        try:
            self._load_live()
        finally:
            self.loader.thread.submit(self._started)  # after what was begun

    def _load_live(self) -> None:
        for model in self.registry.models():
            if model.live is not None:
                live = f"{model.name}@{model.live}"
                self._live[model.name] = live
                self._before.setdefault(model.name, live)
                with suppress(NotReady):  # it failed a moment ago
                    self.loader.begin(live, if_room=True)

    def _started(self) -> None:
        self.loading = False
        log.info("loaded", extra={"fields": {"models": self.references(), "failed": self.failed}})

    def _why_not(self, name: str, live: str) -> str | None:
        reason, others = self.loader.failure(live), self.answering(name)
        if reason is None or others is None:
            return reason
        return f"{live} could not be loaded: {reason}; {others.version.reference} answers meanwhile"

    def _remedy(self) -> str:
        if self.failed:
            return "; ".join(f"{name}: {reason}" for name, reason in self.failed.items())
        return "the registry has none that is live; add a bundle with `skipseg models add BUNDLE`"


def _label(device: torch.device) -> str:
    """``cpu``, or ``cuda (NVIDIA H200)``."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)
