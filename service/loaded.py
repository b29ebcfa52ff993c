"""The models that are in memory: the registry's live versions, loaded and warmed up in the background."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import Literal

import torch

from skipseg.models.errors import ModelConflict, NotReady, SkipsegError, UsageError
from skipseg.models.inference.predictor import Predictor, load_predictor
from skipseg.models.precision import Mode
from skipseg.models.registry import ModelVersion, Registry
from skipseg.service.logs import NAME

log = logging.getLogger(NAME)

State = Literal["ready", "loading", "failed", "not loaded"]


@dataclass(frozen=True)
class Loaded:
    """One version of one model, ready to predict."""

    version: ModelVersion
    predictor: Predictor


class LoadedModels:
    """Every live version of the registry as it was when ``start`` was called."""

    def __init__(self, registry: Registry, device: torch.device, mode: Mode) -> None:
        self.registry = registry
        self.ready: dict[str, Loaded] = {}
        self.failed: dict[str, str] = {}
        self.loading = True
        self._device, self._mode = device, mode
        self.device_label = _label(device)

    def start(self) -> None:
        """Load in the background, so that the server answers meanwhile."""
        threading.Thread(target=self.load, name="skipseg-loading", daemon=True).start()

    def load(self) -> None:
        """Load and warm up each live version; one that fails is named, and the others serve."""
        try:
            for model in self.registry.models():
                if model.live is not None:
                    self._load(model.name)
        finally:
            self.loading = False
        log.info("loaded", extra={"fields": {"models": self.references(), "failed": self.failed}})

    def pick(self, reference: str | None) -> Loaded:
        """The model that a request names; none named stands for the only one there is.

        Raises ``ModelUnknown``, ``ModelConflict`` (a version that is not live), ``NotReady``, ``UsageError``.
        """
        if reference is None:
            return self._only()
        found = self.ready.get(reference.partition("@")[0])
        if found is not None and reference in (found.version.name, found.version.reference):
            return found
        version = self.registry.resolve(reference)
        if found is None:
            raise NotReady(self._why_not(version.name))
        raise ModelConflict(
            f"{version.reference} is not loaded, {found.version.reference} is; a server loads what is live when it "
            f"starts: `skipseg models promote {version.reference}`, then start it again"
        )

    def state(self, name: str) -> State:
        """Where a model of the registry stands."""
        if name in self.ready:
            return "ready"
        if name in self.failed:
            return "failed"
        return "loading" if self.loading else "not loaded"

    def references(self) -> tuple[str, ...]:
        """``name@version`` of everything that answers."""
        return tuple(loaded.version.reference for loaded in list(self.ready.values()))

    def check_ready(self) -> None:
        """Raise ``NotReady`` until everything is loaded and something answers."""
        if self.loading:
            raise NotReady("models are being loaded and warmed up; ask again in a moment")
        if not self.ready:
            raise NotReady(f"no model is loaded; {self._remedy()}")

    def _load(self, name: str) -> None:
        try:
            version = self.registry.resolve(name)
            predictor = load_predictor(version.open(), self._device, self._mode)
        except SkipsegError as error:
            self.failed[name] = str(error)
            log.error("model failed", extra={"fields": {"model": name, "code": error.code, "reason": str(error)}})
        # Out of memory, a driver that is too old, an error of ours: whatever it is, the other models must still load.
        except Exception:
            self.failed[name] = "it could not be put on the device; the server's log says where it failed"
            log.exception("model failed", extra={"fields": {"model": name}})
        else:
            self.ready[name] = Loaded(version, predictor)

    def _only(self) -> Loaded:
        self.check_ready()
        if len(self.ready) + len(self.failed) > 1:
            raise UsageError(
                f"say which model, such as ?model={next(iter(self.ready))}; ready are: {', '.join(self.ready)}"
            )
        return next(iter(self.ready.values()))

    def _why_not(self, name: str) -> str:
        if name in self.failed:
            return f"{name} could not be loaded: {self.failed[name]}"
        if self.loading:
            return f"{name} is being loaded; ask again in a moment"
        return f"{name} was not live when the server started; start it again"

    def _remedy(self) -> str:
        if self.failed:
            return "; ".join(f"{name}: {reason}" for name, reason in self.failed.items())
        return "the registry has none; add a bundle with `skipseg models add BUNDLE` and start the server again"


def _label(device: torch.device) -> str:
    """``cpu``, or ``cuda (NVIDIA H200)``."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)
