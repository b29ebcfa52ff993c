"""What a training settles once, when it first begins, so that going on after a crash means the same.

FOLDER/begun.json      the order, the cases, and the token by which its candidate is known; written last
FOLDER/dataset         the dataset as it was; FOLDER/replay-0... likewise, without their frozen cases
FOLDER/base, rival     the bundle to go on from, and the one that is live, whatever becomes of their versions
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from pydantic import BaseModel, ConfigDict

from skipseg.models.bundle import load_bundle
from skipseg.models.durable import write_whole
from skipseg.models.errors import DatasetConflict, UsageError
from skipseg.models.registry import ModelVersion, Registry
from skipseg.service.datasets.contents import Contents
from skipseg.service.datasets.store import DatasetStore
from skipseg.service.retraining.order import TrainOrder

BEGUN, DATASET, BASE, RIVAL, VALIDATION = "begun.json", "dataset", "base", "rival", "validation.txt"
FEWEST = 2


@dataclass(frozen=True)
class Stores:
    """Where a training finds its data, and leaves its candidate."""

    datasets: DatasetStore
    registry: Registry


class Begun(BaseModel):
    """What was settled."""

    model_config = ConfigDict(frozen=True)

    order: TrainOrder
    token: str
    revision: int
    dataset_sha256: str
    training_cases: int
    validation: tuple[str, ...]
    base: str | None  # name@version
    base_version: int | None
    rival: str | None  # what the candidate is compared with: the version that is live, else the base
    rival_is_live: bool


def check_order(order: TrainOrder, stores: Stores) -> None:
    """Refuse at once what could only fail later.

    Raises ``DatasetUnknown``, ``ModelUnknown``, ``ModelConflict``, ``BundleError``, and ``UsageError`` where there is
    nothing to train on or to replay to.
    """
    contents = stores.datasets.get(order.dataset)
    if len(contents.dataset) < FEWEST:
        raise UsageError(f"it takes {FEWEST} cases to train on one and validate on another; PUT more into the dataset")
    if order.base is None and order.replay:
        raise UsageError("replay keeps what a base has learned; name the base with 'from'")
    for name in order.replay:
        stores.datasets.get(name)
    if order.base is not None:
        stores.registry.resolve(order.base).open()


def begin(order: TrainOrder, folder: Path, stores: Stores, who: str) -> Begun:
    """Settle everything, or find what was settled; raises as ``check_order``, and ``DatasetConflict``."""
    if (folder / BEGUN).is_file():
        return Begun.model_validate_json((folder / BEGUN).read_bytes())
    check_order(order, stores)
    base = stores.registry.resolve(order.base) if order.base else None
    live = _live(order.name, stores.registry)
    rival = live or base
    learned = frozenset[str]()
    for version, place in ((base, BASE), (rival, RIVAL)):
        learned |= _copied(version, folder / place) if version else frozenset()
    contents = stores.datasets.frozen(order.dataset, who, learned)
    _keep_datasets(order, contents, folder, stores.datasets)
    begun = Begun(
        order=order,
        token=token_hex(16),
        revision=contents.revision,
        dataset_sha256=contents.checksum(),
        training_cases=len(contents.dataset) - len(_frozen(contents)),
        validation=_frozen(contents),
        base=base.reference if base else None,
        base_version=base.version if base else None,
        rival=rival.reference if rival else None,
        rival_is_live=live is not None,
    )
    (folder / VALIDATION).write_text("\n".join(begun.validation) + "\n", encoding="utf-8")
    write(folder / BEGUN, begun)
    return begun


def write(path: Path, what: BaseModel) -> None:
    """A file that is there whole or not at all."""
    write_whole(path, what.model_dump_json(indent=1, by_alias=True).encode())


def _live(name: str, registry: Registry) -> ModelVersion | None:
    known = {model.name: model for model in registry.models()}
    live = known[name].live if name in known else None
    return None if live is None else registry.resolve(f"{name}@{live}")


def _copied(version: ModelVersion, to: Path) -> frozenset[str]:
    """Copy a version's bundle; gives the images that it learned from."""
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(version.folder, to, ignore=shutil.ignore_patterns("evaluation"))
    return load_bundle(to).manifest.training.learned


def _keep_datasets(order: TrainOrder, contents: Contents, folder: Path, store: DatasetStore) -> None:
    _check_frozen(contents)
    _snapshot(store, contents, folder / DATASET, without_frozen=False)
    for number, name in enumerate(order.replay):
        _snapshot(store, store.get(name), folder / f"replay-{number}", without_frozen=True)


def _snapshot(store: DatasetStore, contents: Contents, into: Path, without_frozen: bool) -> None:
    shutil.rmtree(into, ignore_errors=True)
    frozen = contents.kept.frozen
    store.snapshot(contents.name, contents, into, frozen.cases if without_frozen and frozen else None)


def _frozen(contents: Contents) -> tuple[str, ...]:
    frozen = contents.kept.frozen
    assert frozen is not None  # the store has just seen to it
    return tuple(sorted(frozen.cases))


def _check_frozen(contents: Contents) -> None:
    """What is frozen is still there, and is what it was."""
    assert contents.kept.frozen is not None
    for name, image in contents.kept.frozen.cases.items():
        if name not in contents.kept.cases or contents.kept.cases[name].image != image:
            raise DatasetConflict(
                "a case of the frozen validation set is not what it was when it was frozen; freeze the set anew "
                "(POST /v1/datasets/NAME/freeze)"
            )
