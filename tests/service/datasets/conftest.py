"""Small cases as files, and a store with three of them."""

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from skipseg.service.datasets.store import DatasetStore
from skipseg.training.datasets.description import Description

ABOUT = Description(channel_names={"0": "MR"}, labels={"1": "rod", "2": "cone"})
SHAPE = (9, 10, 8)


class Cases:
    """Makes scans and masks of one small grid, each with other voxels."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def image(self, seed: int, shape: tuple[int, int, int] = SHAPE) -> Path:
        return self._save(f"image-{seed}", np.random.default_rng(seed).normal(100, 20, shape).astype(np.float32))

    def label(self, seed: int, value: int = 1, shift: float = 0.0) -> Path:
        voxels = np.zeros(SHAPE, np.uint8)
        voxels[2:5, seed % 5 : seed % 5 + 3, 2:6] = value
        return self._save(f"label-{seed}-{value}-{shift}", voxels, shift)

    def _save(self, name: str, voxels: np.ndarray, shift: float = 0.0) -> Path:
        affine = np.diag([1.0, 1.0, 2.0, 1.0])
        affine[0, 3] = shift
        path = self.folder / f"{name}.nii.gz"
        nibabel.save(nibabel.Nifti1Image(voxels, affine), path)
        return path


@pytest.fixture
def files(tmp_path: Path) -> Cases:
    (tmp_path / "sent").mkdir()
    return Cases(tmp_path / "sent")


@pytest.fixture
def store(tmp_path: Path) -> DatasetStore:
    store = DatasetStore(tmp_path / "datasets")
    store.create("rods", ABOUT, "anna")
    return store


@pytest.fixture
def put(store: DatasetStore, files: Cases) -> Callable[..., None]:
    def put(*seeds: int) -> None:
        for seed in seeds:
            store.put_case("rods", f"case_{seed}", [files.image(seed)], files.label(seed), "ben")

    return put
