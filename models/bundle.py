"""A trained model on disk: weights, plan, labels, card. Never a pickle.

    bundle.json           what it is (``BundleManifest``)
    weights.safetensors   the network's state dict; of an ensemble its members', as ``0.name``, ``1.name``...
    card.md               for people: data, licence, limits, figures
    evaluation/           metrics, cases, report

Reading one verifies every checksum and refuses unknown schema versions.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Literal, get_args

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from skipseg.models.durable import settle_tree
from skipseg.models.errors import BundleError
from skipseg.models.fewer_tiles import FewerTiles
from skipseg.models.labels import Labels
from skipseg.models.networks.ensemble import build_ensemble
from skipseg.models.networks.recipe import MOST_WEIGHTS
from skipseg.models.networks.recipes import NetworkKind
from skipseg.models.plan import Plan
from skipseg.models.trust import Ranges

BUNDLE_SCHEMA: Literal[1] = 1
MANIFEST, WEIGHTS, CARD = "bundle.json", "weights.safetensors", "card.md"
MOST_MEMBERS = 50


class BaseRecord(BaseModel):
    """The bundle that a training went on from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: int | None = None  # in the registry it was taken from
    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    images_sha256: tuple[str, ...] = ()  # of every case that it, or a base of its own, learned from


class ReplayRecord(BaseModel):
    """Cases of another dataset that were mixed in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str  # its name
    dataset_sha256: str
    cases: tuple[str, ...]
    images_sha256: tuple[str, ...]


class TrainingRecord(BaseModel):
    """How the weights came about."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: str  # its name
    dataset_sha256: str  # over all files, in order
    cases: tuple[str, ...]  # trained on
    images_sha256: tuple[str, ...] = ()  # of the image files of each of them, by which they are known again
    validation_cases: tuple[str, ...]  # kept out
    validation_images_sha256: tuple[str, ...] = ()
    base: BaseRecord | None = None
    replay: tuple[ReplayRecord, ...] = ()
    folds: tuple[tuple[str, ...], ...] = ()  # of an ensemble, per member: the cases that it alone did not learn from
    distilled_from: int = 0  # members of the ensemble that this one network was taught by; 0: by nobody
    measured: Literal["kept_out", "out_of_fold"] = "kept_out"  # what the bundle's metrics are on
    seed: int
    steps: int  # of all members together
    minutes: float  # of wall clock spent fitting
    device: str
    precision: str
    finished: datetime = Field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    software: dict[str, str] = Field(default_factory=dict)  # package -> version
    ranges: Ranges | None = None  # of the cases trained on; None: written before they were measured

    @property
    def learned(self) -> frozenset[str]:
        """SHA-256 of the images of every case the weights ever learned from: here, in replay, and in the base."""
        before = self.base.images_sha256 if self.base else ()
        return frozenset((*self.images_sha256, *before, *(one for other in self.replay for one in other.images_sha256)))


class BundleManifest(BaseModel):
    """What ``bundle.json`` holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = BUNDLE_SCHEMA
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    task: str  # one line for people
    licence: str = "unstated"  # of the weights, as the data's makers allow
    labels: Labels
    plan: Plan
    training: TrainingRecord
    members: int = Field(default=1, ge=1, le=MOST_MEMBERS)  # networks that answer as one
    fewer_tiles: FewerTiles | None = None  # what was proven of a smaller overlap; None: nothing was
    metrics: dict[str, float | None] = Field(default_factory=dict)  # on cases kept out, see ``training.measured``
    weights_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")

    @field_validator("plan")
    @classmethod
    def _has_a_class_per_label(cls, plan: Plan, others: ValidationInfo) -> Plan:
        labels = others.data.get("labels")
        if labels is not None and len(labels) != plan.network.classes:
            raise ValueError(f"its network has {plan.network.classes} classes, but there are {len(labels)} labels")
        if labels is not None and (unknown := plan.cleanup.keys() - {label.name for label in labels.foreground}):
            raise ValueError(f"cleanup names {sorted(unknown)[0]!r}, which is none of its labels")
        return plan

    @field_validator("fewer_tiles")
    @classmethod
    def _is_less_than_planned(cls, fewer: FewerTiles | None, others: ValidationInfo) -> FewerTiles | None:
        plan = others.data.get("plan")
        if fewer is not None and plan is not None and fewer.overlap >= plan.overlap:
            raise ValueError(f"its overlap must lie below the plan's {plan.overlap:g}, got {fewer.overlap:g}")
        return fewer

    @field_validator("members")
    @classmethod
    def _fit_into_memory(cls, members: int, others: ValidationInfo) -> int:
        plan = others.data.get("plan")
        if plan is not None and members * plan.network.weights > MOST_WEIGHTS:
            raise ValueError(f"{members} such networks have more than the {MOST_WEIGHTS:,} weights that may be")
        return members


@dataclass(frozen=True)
class Bundle:
    """A verified bundle; the weights are read when ``network`` is called."""

    folder: Path
    manifest: BundleManifest
    registered: tuple[str, int] | None = None  # the name and the version under which a registry gave it

    @property
    def plan(self) -> Plan:
        return self.manifest.plan

    @property
    def labels(self) -> Labels:
        return self.manifest.labels

    def network(self) -> nn.Module:
        """The network with its trained weights, ready to infer (fp32, on the CPU); an ensemble is one network too.

        Raises ``BundleError`` when the weights do not fit the plan's network.
        """
        network = build_ensemble(self.plan.network, self.manifest.members)
        try:
            network.load_state_dict({name: values.float() for name, values in load_file(self.folder / WEIGHTS).items()})
        except (RuntimeError, SafetensorError, OSError) as error:
            raise BundleError(f"the weights do not fit the network of the plan: {str(error)[:300]}") from None
        return network.eval()


def load_bundle(folder: Path) -> Bundle:
    """Open a bundle and verify it.

    Raises ``BundleError`` when a file is missing, a checksum differs, or the schema version is unknown.
    """
    try:
        text = (folder / MANIFEST).read_text(encoding="utf-8")
        weights = sha256(folder / WEIGHTS)
    except (OSError, UnicodeDecodeError):
        raise BundleError(
            f"a bundle is a folder with {MANIFEST} and {WEIGHTS}; one of them is missing or unreadable"
        ) from None
    manifest = parse_manifest(text)
    if weights != manifest.weights_sha256:
        raise BundleError(
            f"{WEIGHTS} does not have the checksum that {MANIFEST} records: the file was changed or damaged; "
            "copy the bundle again"
        )
    return Bundle(folder, manifest)


def parse_manifest(text: str) -> BundleManifest:
    """Read ``bundle.json``; raises ``BundleError`` that names the first field at fault."""
    try:
        found = json.loads(text)
        version = found.get("schema_version") if isinstance(found, dict) else None
        if version != BUNDLE_SCHEMA:
            raise BundleError(f"{MANIFEST} has schema version {version!r}; this skipseg reads version {BUNDLE_SCHEMA}")
        return BundleManifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"] if step not in get_args(NetworkKind)) or "its top"
        raise BundleError(f"{MANIFEST} is not valid at {where}: {first['msg']}") from None
    except (ValueError, RecursionError):
        raise BundleError(f"{MANIFEST} is not JSON") from None


def save_bundle(
    folder: Path,
    network_state: dict[str, Tensor],
    write_card: Callable[[BundleManifest], str],
    evaluation: Path | None = None,
    **fields: Any,
) -> Bundle:
    """Write a bundle in one step: it is there whole, or not at all; an older one at ``folder`` is replaced.

    ``fields`` are those of ``BundleManifest`` but the checksum; the files of the folder ``evaluation`` are copied in.
    Weights are stored as fp16 unless a value would leave its range, which halves the file. Raises ``OSError``, as when
    the disk is full.
    """
    with replacing(folder) as draft:
        if evaluation is not None:
            shutil.copytree(evaluation, draft / "evaluation")
        _write_weights(network_state, draft / WEIGHTS)
        (draft / WEIGHTS).chmod(0o644)  # safetensors makes it its owner's alone; a server is often another user
        manifest = BundleManifest(weights_sha256=sha256(draft / WEIGHTS), **fields)
        (draft / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
        (draft / CARD).write_text(write_card(manifest), encoding="utf-8")
        settle_tree(draft)
    return Bundle(folder, manifest)


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """An empty folder to write into, which takes the place of ``folder`` at the end of the block.

    An error in the block leaves ``folder`` as it was. A crash while they change places leaves the older one whole, as
    ``old`` in a hidden folder beside it (``.NAME.*``).
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    new, old = aside / "new", aside / "old"
    try:
        new.mkdir()  # unlike ``aside``, which only its owner may enter
        yield new
        _swap(new, folder, old)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        if not old.exists():
            shutil.rmtree(aside, ignore_errors=True)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _swap(new: Path, folder: Path, old: Path) -> None:
    if folder.exists():
        os.replace(folder, old)
    try:
        os.replace(new, folder)
    except OSError:
        if old.exists():
            os.replace(old, folder)
        raise


def sha256(path: Path) -> str:
    """The hex SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_weights(network_state: dict[str, Tensor], path: Path) -> None:
    try:
        save_file({name: _stored(values) for name, values in network_state.items()}, path)
    except SafetensorError as error:
        raise OSError(f"{path} cannot be written ({error})") from error


def _stored(values: Tensor) -> Tensor:
    values = values.detach().cpu().contiguous()
    fits = (
        values.is_floating_point() and bool(values.abs().max() < torch.finfo(torch.float16).max)
        if values.numel()
        else False
    )
    return values.half() if fits else values
