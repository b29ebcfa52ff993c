"""Named bundles with versions, as folders.

    ROOT/NAME/versions/1/   a bundle, immutable once added
    ROOT/NAME/live.json     {"history": [1, 2]}: the last entry is live, rollback drops it

Models that ship with skipseg are in every registry as version 1, read from the package itself.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from skipseg.models.bundle import Bundle, load_bundle
from skipseg.models.errors import ModelConflict, ModelUnknown

SHIPPED = Path(__file__).parent / "shipped"
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


@dataclass(frozen=True)
class RegisteredModel:
    """A name, its versions, and which of them answers to the bare name."""

    name: str
    versions: tuple[int, ...]
    live: int | None
    shipped: bool


@dataclass(frozen=True)
class ModelVersion:
    """One version of one model."""

    name: str
    version: int
    folder: Path

    @property
    def reference(self) -> str:
        return f"{self.name}@{self.version}"

    def open(self) -> Bundle:
        """The verified bundle; raises ``BundleError``."""
        return load_bundle(self.folder)


class Registry:
    """The models under one folder, which is made on the first change."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def models(self) -> list[RegisteredModel]:
        """Every model, by name."""
        own = [path.name for path in self.root.iterdir() if path.is_dir()] if self.root.is_dir() else []
        names = sorted({name for name in [*own, *_shipped()] if NAME.fullmatch(name)})
        return [model for name in names if (model := self._model(name)).versions]

    def model(self, name: str) -> RegisteredModel:
        """One model; raises ``ModelUnknown``."""
        known = {model.name: model for model in self.models()}
        if name not in known:
            there = ", ".join(known) or "none"
            raise ModelUnknown(f"there is no model {name!r}; the registry holds: {there}")
        return known[name]

    def resolve(self, reference: str) -> ModelVersion:
        """The version that ``name`` (its live one) or ``name@2`` stands for; raises ``ModelUnknown``."""
        name, _, number = reference.partition("@")
        model = self.model(name)
        if not number and model.live is None:
            raise ModelUnknown(f"{name} has no live version; promote one of {list(model.versions)}")
        version = model.live if not number else int(number) if number.isdecimal() else None
        if version not in model.versions:
            raise ModelUnknown(f"{name} has no version {number!r}; it has {list(model.versions)}")
        return ModelVersion(name, version, self._folder(name, version))

    def add(self, folder: Path, name: str | None = None) -> ModelVersion:
        """Copy a bundle in as the next version of its name; the first becomes live, later ones wait for ``promote``.

        Raises ``BundleError`` when it does not verify, ``ModelConflict`` when the name is not usable.
        """
        bundle = load_bundle(folder)
        name = name or bundle.manifest.name
        if not NAME.fullmatch(name):
            raise ModelConflict(f"a model's name is lower-case letters, digits, - and _ (at most 63); got {name!r}")
        known = self._model(name)
        version = max(known.versions, default=0) + 1
        target = self.root / name / "versions" / str(version)
        draft = target.with_name(f".{version}.{os.getpid()}.adding")
        shutil.rmtree(draft, ignore_errors=True)
        shutil.copytree(folder, draft)
        load_bundle(draft)
        os.replace(draft, target)
        if known.live is None:
            self._write_history(name, [version])
        return ModelVersion(name, version, target)

    def promote(self, name: str, version: int) -> None:
        """Make a version the live one."""
        found = self.resolve(f"{name}@{version}")
        found.open()
        self._write_history(name, [*self._history(name), version])

    def rollback(self, name: str) -> int:
        """Make the version live that was live before; raises ``ModelConflict`` when there was none."""
        self.model(name)
        history = self._history(name)
        if len(history) < 2:
            raise ModelConflict(f"{name} has had one live version only; promote another one instead")
        self._write_history(name, history[:-1])
        return history[-2]

    def remove(self, name: str, version: int) -> None:
        """Delete a version; raises ``ModelConflict`` when it is live or ships with skipseg."""
        found = self.resolve(f"{name}@{version}")
        if found.folder.is_relative_to(SHIPPED):
            raise ModelConflict(f"{found.reference} ships with skipseg and cannot be removed")
        if self._model(name).live == version and len(self._model(name).versions) > 1:
            raise ModelConflict(f"{found.reference} is live; promote another version first")
        self._write_history(name, [entry for entry in self._history(name) if entry != version])
        shutil.rmtree(found.folder)

    def _model(self, name: str) -> RegisteredModel:
        folder = self.root / name / "versions"
        own = [int(path.name) for path in folder.iterdir() if path.name.isdecimal()] if folder.is_dir() else []
        shipped = name in _shipped()
        history = self._history(name)
        return RegisteredModel(
            name, tuple(sorted({*own, *([1] if shipped else [])})), history[-1] if history else None, shipped
        )

    def _folder(self, name: str, version: int) -> Path:
        return SHIPPED / name if version == 1 and name in _shipped() else self.root / name / "versions" / str(version)

    def _history(self, name: str) -> list[int]:
        pointer = self.root / name / "live.json"
        if pointer.is_file():
            return _read_history(pointer)
        return [1] if name in _shipped() else []

    def _write_history(self, name: str, history: list[int]) -> None:
        pointer = self.root / name / "live.json"
        pointer.parent.mkdir(parents=True, exist_ok=True)
        draft = pointer.with_suffix(f".{os.getpid()}.writing")
        draft.write_text(json.dumps({"history": history}))
        os.replace(draft, pointer)


def open_model(reference: str, registry: Registry) -> Bundle:
    """The bundle that a folder's path or a registry reference stands for; a folder goes first."""
    if (Path(reference) / "bundle.json").is_file():
        return load_bundle(Path(reference))
    if "/" in reference or "\\" in reference:
        raise ModelUnknown("there is no bundle in that folder: expected bundle.json and weights.safetensors")
    return registry.resolve(reference).open()


def _read_history(pointer: Path) -> list[int]:
    try:
        return [int(version) for version in json.loads(pointer.read_text(encoding="utf-8"))["history"]]
    except (ValueError, KeyError, TypeError):
        raise ModelConflict(
            f"live.json of {pointer.parent.name} is damaged; remove it and promote the version that should be live"
        ) from None


def _shipped() -> list[str]:
    return (
        sorted(path.name for path in SHIPPED.iterdir() if (path / "bundle.json").is_file()) if SHIPPED.is_dir() else []
    )
