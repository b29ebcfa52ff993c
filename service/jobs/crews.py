"""The models that a worker has in memory, each with its crew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition

import torch

from skipseg.models.inference.certainty import Doubt
from skipseg.models.inference.predictor import load_predictor
from skipseg.models.inference.wishes import Wishes
from skipseg.models.precision import Mode
from skipseg.models.registry import Registry
from skipseg.models.scans.limits import Limits
from skipseg.service.commands.crew import Crew

Key = tuple[str, Wishes]  # name@version, and how its scans are segmented


@dataclass
class _Held:
    users: int = 0
    crew: Crew | None = None
    loading: bool = field(default=True)


class Crews:
    """One crew per model and wishes; one that nobody uses goes when another is needed."""

    def __init__(self, registry: Registry, device: torch.device, mode: Mode, limits: Limits) -> None:
        self.registry, self.device, self.mode, self.limits = registry, device, mode, limits
        self._held: dict[Key, _Held] = {}
        self._changed = Condition()

    def has(self, model: str, wishes: Wishes) -> bool:
        """Whether a model's crew is there."""
        with self._changed:
            held = self._held.get((model, wishes))
            return held is not None and held.crew is not None

    @contextmanager
    def hold(self, model: str, wishes: Wishes) -> Iterator[Crew]:
        """A model's crew, loaded if it is not there; raises what loading raises."""
        key = (model, wishes)
        with self._changed:
            held = self._held.setdefault(key, _Held(loading=False))
            held.users += 1
            while held.loading:
                self._changed.wait()
            crew = held.crew
            held.loading = crew is None
        try:
            yield crew or self._loaded(key, held)
        finally:
            with self._changed:
                held.users -= 1

    def _loaded(self, key: Key, held: _Held) -> Crew:
        try:
            self._close_the_unused(key)
            predictor = load_predictor(self.registry.resolve(key[0]).open(), self.device, self.mode)
            held.crew = Crew(predictor, key[1], self.limits, [Doubt])
            return held.crew
        finally:
            with self._changed:
                held.loading = False
                self._changed.notify_all()

    def _close_the_unused(self, wanted: Key) -> None:
        with self._changed:
            gone = [key for key, held in self._held.items() if key != wanted and not held.users]
            closing = [self._held.pop(key).crew for key in gone]
        for crew in closing:
            if crew is not None:
                crew.__exit__()
