"""Named bundles with versions, as folders.

    ROOT/NAME/versions/1/   a bundle, immutable once added
    ROOT/NAME/live.json     {"history": [1, 2], "highest": 3}: the last entry is live, rollback drops it; the highest
                            number that a removed version had is not given out again
    ROOT/NAME/.lock         held while a process changes the model

Models that ship with skipseg are in every registry as version 1, read from the package itself. Where a registry has a
version 1 of that name already, that one stays.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex
from tempfile import mkdtemp

from skipseg.models.bundle import Bundle, load_bundle
from skipseg.models.durable import forget_drafts, settle, settle_tree
from skipseg.models.errors import ModelConflict, ModelUnknown
from skipseg.models.pointer import Pointer, PointerFile

SHIPPED = Path(__file__).parent / "shipped"
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
ADDING, REMOVING = ".adding-", ".removing-"


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
        return replace(load_bundle(self.folder), registered=(self.name, self.version))


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
            self._pointer(name).read()
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
        self._pointer(name).read()
        versions = self.root / name / "versions"
        versions.mkdir(parents=True, exist_ok=True)
        forget_drafts(versions, ADDING)
        aside = Path(mkdtemp(prefix=ADDING, dir=versions))
        try:
            shutil.copytree(folder, aside / "bundle")
            load_bundle(aside / "bundle")
            settle_tree(aside / "bundle")
            return self._take_in(name, aside / "bundle", first_is_live)
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def promote(self, name: str, version: int) -> ModelVersion:
        """Make a version the live one, and tell which that is; mends a damaged live.json.

        Raises ``BundleError`` when it does not verify, ``ModelUnknown``.
        """
        self.resolve(f"{name}@{version}").open()
        file = self._pointer(name)
        with file.locked():
            found = self.resolve(f"{name}@{version}")  # which another process may have removed by now
            file.write(_promoted(file, version))
        return found

    def rollback(self, name: str, leaving: int | None = None) -> int:
        """Make the version live that was live before, and tell which that is.

        ``leaving``: only if this one is live, so that asking twice does not go back twice. Raises ``ModelConflict``
        when another one is, or when there was none before; ``ModelUnknown``.
        """
        self.model(name)
        file = self._pointer(name)
        with file.locked():
            pointer = file.read()
            if leaving is not None and pointer.live != leaving:
                raise ModelConflict(f"{name}@{leaving} is not live, {name}@{pointer.live} is; nothing was changed")
            before = _before(name, pointer)
            file.write(pointer.with_history(pointer.history[:-1]))
        return before

    def before(self, name: str) -> int:
        """The version that ``rollback`` would make live; raises as that does."""
        self.model(name)
        return _before(name, self._pointer(name).read())

    def remove(self, name: str, version: int) -> None:
        """Delete a version; its number is not given out again. The live one goes only when it is the last there is.

        Raises ``ModelConflict`` when there are others than the live one, or when it ships with skipseg.
        """
        self.resolve(f"{name}@{version}")
        file = self._pointer(name)
        with file.locked():
            found, model, pointer = self.resolve(f"{name}@{version}"), self.model(name), file.read()
            if found.folder.is_relative_to(self.shipped):
                raise ModelConflict(f"{found.reference} ships with skipseg and cannot be removed")
            if model.live == version and len(model.versions) > 1:
                raise ModelConflict(f"{found.reference} is live; promote another version first")
            highest = max(pointer.highest, *model.versions)
            kept = [entry for entry in pointer.history if entry != version]
            file.write(Pointer(history=tuple(kept), highest=highest))
            os.rename(found.folder, found.folder.with_name(f"{REMOVING}{token_hex(4)}"))
        for gone in found.folder.parent.glob(f"{REMOVING}*"):  # those too that a crash left behind
            shutil.rmtree(gone, ignore_errors=True)

    def _model(self, name: str) -> RegisteredModel:
        shipped = name in self._shipped()
        live = self._pointer(name).live
        return RegisteredModel(name, tuple(sorted({*self._own(name), *([1] if shipped else [])})), live, shipped)

    def _own(self, name: str) -> list[int]:
        folder = self.root / name / "versions"
        return [int(path.name) for path in folder.iterdir() if path.name.isdecimal()] if folder.is_dir() else []

    def _folder(self, name: str, version: int) -> Path:
        own = self.root / name / "versions" / str(version)
        return self.shipped / name if version == 1 and not own.is_dir() and name in self._shipped() else own

    def _take_in(self, name: str, draft: Path, first_is_live: bool) -> ModelVersion:
        """Move a bundle to the next number, and make it live where none was before, if that is wanted."""
        file = self._pointer(name)
        with file.locked():
            pointer = file.read()
            version = max(pointer.highest, *self._model(name).versions, 0) + 1
            target = self.root / name / "versions" / str(version)
            os.rename(draft, target)
            settle(target.parent)
            if first_is_live and not pointer.history:
                file.write(pointer.with_history([version]))
        return ModelVersion(name, version, target)

    def _shipped(self) -> list[str]:
        folders = self.shipped.iterdir() if self.shipped.is_dir() else []
        return sorted(path.name for path in folders if (path / "bundle.json").is_file())

    def _pointer(self, name: str) -> PointerFile:
        return PointerFile(self.root / name, Pointer(history=(1,) if name in self._shipped() else ()))


def _promoted(file: PointerFile, version: int) -> Pointer:
    try:
        pointer = file.read()
    except ModelConflict:
        pointer = Pointer(history=())
    return pointer.with_history([*pointer.history, version])


def _before(name: str, pointer: Pointer) -> int:
    if len(pointer.history) < 2:
        raise ModelConflict(f"{name} has had one live version only; promote another one instead")
    return pointer.history[-2]


@dataclass(frozen=True)
class Found:
    """Where a bundle lies, and its version when it lies in a registry."""

    folder: Path
    version: int | None = None
    name: str | None = None  # in the registry


def find_model(reference: str, registry: Registry) -> Found:
    """What a folder's path or a registry reference stands for; a folder goes first."""
    if (Path(reference) / "bundle.json").is_file():
        return Found(Path(reference))
    if "/" in reference or "\\" in reference:
        raise ModelUnknown("there is no bundle in that folder: expected bundle.json and weights.safetensors")
    model = registry.resolve(reference)
    return Found(model.folder, model.version, model.name)


def open_model(reference: str, registry: Registry) -> Bundle:
    """The verified bundle that a folder's path or a registry reference stands for; a folder goes first."""
    found = find_model(reference, registry)
    known_as = None if found.name is None or found.version is None else (found.name, found.version)
    return replace(load_bundle(found.folder), registered=known_as)
