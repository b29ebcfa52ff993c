"""Datasets as others have them: thick slices, no spacing, thin vessels in colour, wild values, a case or two."""

import json
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter


def volumes(folder: Path, shape, spacing, cases=3, labels=4, scale=1.0, wild=0, without=(), tiny=False):
    """An MSD dataset of boxes, one a label, each as bright as its number.

    ``wild`` voxels a case are a million times as bright; cases numbered in ``without`` lack the last label, which is a
    single voxel when ``tiny``.
    """
    chance = np.random.default_rng(3)
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    names = [f"case_{number}" for number in range(cases)]
    for number, name in enumerate(names):
        truth = np.zeros(shape, np.uint8)
        for value in range(1, labels + 1):
            if value == labels and number in without:
                continue
            side = [1 if tiny and value == labels else max(length // 3, 1) for length in shape]
            start = [int(chance.integers(0, length - long + 1)) for length, long in zip(shape, side, strict=True)]
            truth[tuple(slice(at, at + long) for at, long in zip(start, side, strict=True))] = value
        image = (scale * (truth + chance.normal(0, 0.3, shape) + 2)).astype(np.float32)
        image.flat[chance.choice(image.size, wild, replace=False)] *= 1e6
        affine = np.diag([*spacing, 1.0])
        nibabel.save(nibabel.Nifti1Image(image, affine), folder / "imagesTr" / f"{name}.nii.gz")
        nibabel.save(nibabel.Nifti1Image(truth, affine), folder / "labelsTr" / f"{name}.nii.gz")
    description = {
        "name": "Boxes",
        "modality": {"0": "MR"},
        "labels": {str(value): f"box {value}" if value else "background" for value in range(labels + 1)},
        "training": [
            {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in names
        ],
    }  # fmt: skip
    (folder / "dataset.json").write_text(json.dumps(description))
    return folder


def pictures(folder: Path, size, cases=3, thickness=3.0, alpha=False):
    """Colour PNGs of dark winding lines, or of blobs when ``thickness`` is large, with masks of 0 and 255."""
    chance = np.random.default_rng(5)
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    for number in range(cases):
        field = gaussian_filter(chance.standard_normal(size), max(min(size) / 25, 2), mode="wrap")
        slope = np.hypot(*np.gradient(field)) + 1e-9
        truth = np.abs(field) / slope < thickness / 2
        pixels = np.stack([180 - 80 * truth, 90 - 50 * truth, 40 + 0 * truth], -1) + chance.normal(0, 8, (*size, 3))
        if alpha:
            pixels = np.concatenate([pixels, np.full((*size, 1), 255)], -1)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"images/p{number}.png")
        Image.fromarray((255 * truth).astype(np.uint8)).save(folder / f"labels/p{number}.png")
    return folder
