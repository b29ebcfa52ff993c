"""Small datasets made file by file, so that a test can put anything into them."""

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image


class DatasetFolder:
    """A dataset being written; paths are relative to its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.random = np.random.default_rng(7)
        self.blobs = 0

    def nifti(self, path: str, voxels: np.ndarray, affine: np.ndarray | None = None) -> Path:
        image = nibabel.Nifti1Image(voxels, np.diag([1.0, 1.0, 2.0, 1.0]) if affine is None else affine)
        nibabel.save(image, self._place(path))
        return self.folder / path

    def png(self, path: str, pixels: np.ndarray) -> Path:
        Image.fromarray(pixels).save(self._place(path))
        return self.folder / path

    def json(self, path: str, content: Any) -> Path:
        self._place(path).write_text(json.dumps(content))
        return self.folder / path

    def noise(self, shape: tuple[int, ...] = (9, 10, 8)) -> np.ndarray:
        return self.random.normal(100, 20, shape).astype(np.float32)

    def blob(self, shape: tuple[int, ...] = (9, 10, 8), value: int = 1) -> np.ndarray:
        """A block of 3 voxels a side of one label, each time in another place."""
        self.blobs += 1
        room = [max(1, size - 3) for size in shape]
        start = np.unravel_index(self.blobs % np.prod(room), room)
        label = np.zeros(shape, np.uint8)
        label[tuple(slice(int(at), int(at) + 3) for at in start)] = value
        return label

    def msd(self, count: int = 3, **description: Any) -> Path:
        """Cases ``a0``, ``a1``... of one channel with the labels 1 (rod) and 2 (cone); fields may be replaced."""
        for number in range(count):
            label = self.blob()
            label[5:7, 6:9, 5:7] = 2
            self.nifti(f"imagesTr/a{number}.nii.gz", self.noise())
            self.nifti(f"labelsTr/a{number}.nii.gz", label)
        fields = {
            "name": "Rods",
            "modality": {"0": "MRI"},
            "labels": {"0": "background", "1": "rod", "2": "cone"},
            "training": [self.pair(f"a{number}") for number in range(count)],
        }
        self.json("dataset.json", fields | description)
        return self.folder

    @staticmethod
    def pair(name: str) -> dict[str, str]:
        return {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"}

    def nnunet(self, count: int = 2, channels: int = 2, **description: Any) -> Path:
        for number in range(count):
            for channel in range(channels):
                self.nifti(f"imagesTr/b{number}_{channel:04d}.nii.gz", self.noise())
            self.nifti(f"labelsTr/b{number}.nii.gz", self.blob())
        fields = {
            "channel_names": {str(channel): f"T{channel + 1}" for channel in range(channels)},
            "labels": {"background": 0, "rod": 1},
            "numTraining": count,
            "file_ending": ".nii.gz",
        }
        self.json("dataset.json", fields | description)
        return self.folder

    def pictures(self, count: int = 3, white: int = 255) -> Path:
        """Grey PNGs in ``images/`` with labels of 0 and ``white`` in ``labels/``."""
        for number in range(count):
            self.png(f"images/c{number}.png", self.random.integers(0, 255, (12, 16), np.uint8))
            self.png(f"labels/c{number}.png", self.blob((12, 16), white))
        return self.folder

    def _place(self, path: str) -> Path:
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        return place


@pytest.fixture
def made(tmp_path: Path) -> DatasetFolder:
    return DatasetFolder(tmp_path / "dataset")
