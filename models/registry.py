"""Named bundles with versions, as folders.

    ROOT/NAME/versions/1/   a bundle, immutable once added
    ROOT/NAME/live.json     {"history": [1, 2], "highest": 3}: the last entry is live, rollback drops it; the highest
                            number that a removed version had is not given out again

Models that ship with skipseg are in every registry as version 1, read from the package itself. Where a registry has a
version 1 of that name already, that one stays.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from errno import EEXIST, ENOTEMPTY
from itertools import groupby
from pathlib import Path
from secrets import token_hex
from tempfile import mkdtemp

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from skipseg.models.bundle import Bundle, load_bundle
from skipseg.models.errors import ModelConflict, ModelUnknown

SHIPPED = Path(__file__).parent / "shipped"
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


@dataclass(frozen=True)
class RegisteredModel:
    """A name, its versions, and which of them answers to the bare name."""

    name: str
    versions: tuple[int, ...]
    live: int | None  # None as well when live.json is damaged
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


class Pointer(BaseModel):
    """What ``live.json`` holds."""

    model_config = ConfigDict(frozen=True)

    history: tuple[int, ...]
    highest: int = 0  # number that was ever removed; files of old do not say

    @field_validator("history")
    @classmethod
    def _every_step_changes_something(cls, history: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(version for version, _ in groupby(history))

    @property
    def live(self) -> int | None:
        return self.history[-1] if self.history else None

    def with_history(self, history: Sequence[int]) -> Pointer:
        return Pointer(history=tuple(history), highest=self.highest)


class Registry:
    """The models under one folder, which is made on the first change, and those of the folder ``shipped``."""

    def __init__(self, root: Path, shipped: Path = SHIPPED) -> None:
        self.root = root
        self.shipped = shipped

    def models(self) -> list[RegisteredModel]:
        """Every model, by name."""
        own = [path.name for path in self.root.iterdir() if path.is_dir()] if self.root.is_dir() else []
        names = sorted({name for name in [*own, *self._shipped()] if NAME.fullmatch(name)})
        return [model for name in names if (model := self._model(name)).versions]

    def model(self, name: str) -> RegisteredModel:
        """One model; raises ``ModelUnknown``."""
        known = {model.name: model for model in self.models()}
        if name not in known:
            there = ", ".join(known) or "none"
            raise ModelUnknown(f"there is no model {name!r}; the registry holds: {there}")
        return known[name]

    def resolve(self, reference: str) -> ModelVersion:
        """The version that ``name`` (its live one) or ``name@2`` stands for.

        Raises ``ModelUnknown``, and ``ModelConflict`` for a bare name whose live.json is damaged.
        """
        name, _, number = reference.partition("@")
        model = self.model(name)
        if not number and model.live is None:
            self._pointer(name)
            raise ModelUnknown(f"{name} has no live version; promote one of {list(model.versions)}")
        version = model.live if not number else int(number) if number.isdecimal() else None
        if version not in model.versions:
            raise ModelUnknown(f"{name} has no version {number or version!r}; it has {list(model.versions)}")
        return ModelVersion(name, version, self._folder(name, version))

    def add(self, folder: Path, name: str | None = None, *, first_is_live: bool = True) -> ModelVersion:
        """Copy a bundle in as the next version of its name; the first becomes live unless told otherwise, later ones
        wait for ``promote``.

        Raises ``BundleError`` when it does not verify, ``ModelConflict`` when the name is not usable.
        """
        bundle = load_bundle(folder)
        name = name or bundle.manifest.name
        if not NAME.fullmatch(name):
            raise ModelConflict(f"a model's name is lower-case letters, digits, - and _ (at most 63); got {name!r}")
        self._pointer(name)
        versions = self.root / name / "versions"
        versions.mkdir(parents=True, exist_ok=True)
        aside = Path(mkdtemp(prefix=".adding-", dir=versions))
        try:
            shutil.copytree(folder, aside / "bundle")
            load_bundle(aside / "bundle")
            added = self._take_number(name, aside / "bundle")
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        if first_is_live and not (pointer := self._pointer(name)).history:
            self._write(name, pointer.with_history([added.version]))
        return added

    def promote(self, name: str, version: int) -> None:
        """Make a version the live one; mends a damaged live.json."""
        self.resolve(f"{name}@{version}").open()
        pointer = Pointer(history=()) if self._is_damaged(name) else self._pointer(name)
        self._write(name, pointer.with_history([*pointer.history, version]))

    def rollback(self, name: str) -> int:
        """Make the version live that was live before; raises ``ModelConflict`` when there was none."""
        self.model(name)
        pointer = self._pointer(name)
        if len(pointer.history) < 2:
            raise ModelConflict(f"{name} has had one live version only; promote another one instead")
        self._write(name, pointer.with_history(pointer.history[:-1]))
        return pointer.history[-2]

    def remove(self, name: str, version: int) -> None:
        """Delete a version; its number is not given out again. The live one goes only when it is the last there is.

        Raises ``ModelConflict`` when there are others than the live one, or when it ships with skipseg.
        """
        found, model, pointer = self.resolve(f"{name}@{version}"), self.model(name), self._pointer(name)
        if found.folder.is_relative_to(self.shipped):
            raise ModelConflict(f"{found.reference} ships with skipseg and cannot be removed")
        if model.live == version and len(model.versions) > 1:
            raise ModelConflict(f"{found.reference} is live; promote another version first")
        highest = max(pointer.highest, *model.versions)
        kept = [entry for entry in pointer.history if entry != version]
        self._write(name, Pointer(history=tuple(kept), highest=highest))
        shutil.rmtree(found.folder)

    def _model(self, name: str) -> RegisteredModel:
        shipped = name in self._shipped()
        live = None if self._is_damaged(name) else self._pointer(name).live
        return RegisteredModel(name, tuple(sorted({*self._own(name), *([1] if shipped else [])})), live, shipped)

    def _own(self, name: str) -> list[int]:
        folder = self.root / name / "versions"
        return [int(path.name) for path in folder.iterdir() if path.name.isdecimal()] if folder.is_dir() else []

    def _folder(self, name: str, version: int) -> Path:
        own = self.root / name / "versions" / str(version)
        return self.shipped / name if version == 1 and not own.is_dir() and name in self._shipped() else own

    def _take_number(self, name: str, draft: Path) -> ModelVersion:
        """Move a bundle to the next number that is free; another process may be quicker."""
        while True:
            version = max(self._pointer(name).highest, *self._model(name).versions, 0) + 1
            target = self.root / name / "versions" / str(version)
            try:
                os.rename(draft, target)
            except OSError as error:
                if error.errno not in (EEXIST, ENOTEMPTY):
                    raise
            else:
                return ModelVersion(name, version, target)

    def _shipped(self) -> list[str]:
        folders = self.shipped.iterdir() if self.shipped.is_dir() else []
        return sorted(path.name for path in folders if (path / "bundle.json").is_file())

    def _is_damaged(self, name: str) -> bool:
        try:
            self._pointer(name)
        except ModelConflict:
            return True
        return False

    def _pointer(self, name: str) -> Pointer:
        """What live.json says; raises ``ModelConflict`` when it is damaged."""
        path = self.root / name / "live.json"
        if not path.is_file():
            return Pointer(history=(1,) if name in self._shipped() else ())
        try:
            return Pointer.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            raise ModelConflict(
                f"live.json of {name} is damaged or unreadable; promote the version that should be live"
            ) from None

    def _write(self, name: str, pointer: Pointer) -> None:
        path = self.root / name / "live.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".live.{token_hex(4)}.writing")
        try:
            draft.write_text(pointer.model_dump_json(), encoding="utf-8")
            os.replace(draft, path)
        finally:
            draft.unlink(missing_ok=True)


@dataclass(frozen=True)
class Found:
    """Where a bundle lies, and its version when it lies in a registry."""

    folder: Path
    version: int | None = None


def find_model(reference: str, registry: Registry) -> Found:
    """What a folder's path or a registry reference stands for; a folder goes first."""
    if (Path(reference) / "bundle.json").is_file():
        return Found(Path(reference))
    if "/" in reference or "\\" in reference:
        raise ModelUnknown("there is no bundle in that folder: expected bundle.json and weights.safetensors")
    model = registry.resolve(reference)
    return Found(model.folder, model.version)


def open_model(reference: str, registry: Registry) -> Bundle:
    """The verified bundle that a folder's path or a registry reference stands for; a folder goes first."""
    return load_bundle(find_model(reference, registry).folder)
