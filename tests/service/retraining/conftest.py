"""Pictures to retrain on, a model that has learned something of them, and one of the same labels that has not."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from zips import zip_of

from skipseg.models.bundle import Bundle, save_bundle
from skipseg.models.networks.recipes import build
from skipseg.models.registry import Registry
from skipseg.models.scans.archives import ArchiveLimits
from skipseg.service.datasets.store import DatasetStore
from skipseg.training.phantoms import write_picture_dataset
from skipseg.training.pipeline import TrainOptions, train
from skipseg.training.planning.overrides import Overrides

TINY = {"patch": [48, 48], "widths": [6, 8, 12], "blocks": [0, 1, 1], "batch": 2}


def untrained(like: Bundle, folder: Path) -> Bundle:
    """The same network with random weights, which learned from nothing."""
    torch.manual_seed(0)
    fields = {name: getattr(like.manifest, name) for name in ("name", "task", "labels", "plan")}
    record = like.manifest.training.model_copy(update={"images_sha256": (), "cases": ()})
    weights = build(like.plan.network).state_dict()
    return save_bundle(folder, weights, lambda manifest: "", training=record, **fields)


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """``base`` learned from six other pictures; ``sent.zip`` has eight new ones."""
    folder = tmp_path_factory.mktemp("made")
    write_picture_dataset(folder / "old", cases=6, seed=100)
    write_picture_dataset(folder / "new", cases=8, seed=0)
    (folder / "sent.zip").write_bytes(zip_of(folder / "new"))
    options = TrainOptions(epochs=25, device="cpu", quiet=True, overrides=Overrides.model_validate(TINY))
    untrained(train(folder / "old", folder / "base", options), folder / "poor")
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    """Stores whose model ``cells`` is live and untrained; ``good@1`` is the base; ``pictures`` the dataset."""
    DatasetStore(tmp_path / "datasets").add_zip("pictures", made / "sent.zip", ArchiveLimits(), "anna")
    registry = Registry(tmp_path / "models", tmp_path / "none-shipped")
    registry.add(made / "poor", "cells")
    registry.add(made / "base", "good")
    return tmp_path


@pytest.fixture
def registry(place: Path) -> Registry:
    return Registry(place / "models", place / "none-shipped")


@pytest.fixture
def datasets(place: Path) -> DatasetStore:
    return DatasetStore(place / "datasets")


@pytest.fixture
def more(made: Path, tmp_path: Path, datasets: DatasetStore) -> Callable[[int], None]:
    """Put one more picture into the dataset."""

    def put(number: int) -> None:
        folder = tmp_path / f"more-{number}"
        write_picture_dataset(folder, cases=1, seed=200 + number)
        name = "picture_000.png"
        sent = ([folder / "images" / name], folder / "labels" / name)
        datasets.put_case("pictures", f"more_{number}", *sent, "ben")
        shutil.rmtree(folder)

    return put
