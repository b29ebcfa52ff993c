"""Scans of made-up patients with a known truth: for the demo, for tests, and for a first look without data.

A phantom is scanned as a real patient is: on an oblique grid of its own, stored along any of the 48 array orientations,
with partial volume, a bias field (Sled 1998) and Rician noise (Gudbjartsson 1995). The truth is analytic in the
scanner's millimetres, so whoever loses a flip, a shift or a spacing is found out.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from skipseg.models.scans.geometry import Geometry, Turn
from skipseg.models.scans.volume import Source, Volume
from skipseg.training.anatomy import NAMES, Anatomy, Points, draw_anatomy

FIELD_OF_VIEW = (53.0, 46.0, 58.0)  # mm along patient axes: the whole of a patient with a rim of air
NOISE = 0.05  # standard deviation, where fat has a signal of 0.8
BIAS = 0.2  # how far brightness may drift, as a natural logarithm
SUBVOXELS = 2  # samples per voxel and axis: what partial volume is made of


@dataclass(frozen=True, eq=False)
class Phantom:
    """A scan, its truth (X, Y, Z) on the scan's grid, and the anatomy that both were taken from."""

    volume: Volume
    labels: NDArray[np.uint8]
    anatomy: Anatomy


def make_phantom(seed: int) -> Phantom:
    """A 3D scan of about 40 voxels a side; equal seeds give equal phantoms."""
    rng = np.random.default_rng(seed)
    anatomy = draw_anatomy(rng)
    return _scan(rng, anatomy, _draw_grid(rng, anatomy), Source("nifti"))


def make_picture(seed: int) -> Phantom:
    """A 2D picture of one axial slice, (X, Y, 1) with pixels of 0.5 mm; equal seeds give equal pictures."""
    rng = np.random.default_rng(seed)
    anatomy = draw_anatomy(rng)
    shape = (int(rng.integers(95, 110)), int(rng.integers(80, 95)), 1)
    affine = _affine(0.5 * np.eye(3), shape, anatomy.centre)
    return _scan(rng, anatomy, Geometry(shape, affine), Source("png"))


def write_phantom_dataset(folder: Path, cases: int, seed: int) -> list[str]:
    """Write ``cases`` 3D phantoms as an MSD dataset (dataset.json, imagesTr, labelsTr); returns the cases' names."""
    names = [f"phantom_{number:03}" for number in range(cases)]
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        phantom = make_phantom(seed + number)
        _save(phantom.volume.voxels[0].astype(np.int16), phantom, folder / "imagesTr" / f"{name}.nii.gz")
        _save(phantom.labels, phantom, folder / "labelsTr" / f"{name}.nii.gz")
    (folder / "dataset.json").write_text(json.dumps(_description(names), indent=2))
    return names


def write_picture_dataset(folder: Path, cases: int, seed: int) -> list[str]:
    """Write ``cases`` pictures as two folders, images/ and labels/, of 8 bit PNG files; returns the cases' names."""
    names = [f"picture_{number:03}" for number in range(cases)]
    for number, name in enumerate(names):
        phantom = make_picture(seed + number)
        grey = phantom.volume.voxels[0] * (255 / phantom.volume.voxels.max())
        for part, pixels in (("images", grey.astype(np.uint8)), ("labels", phantom.labels)):
            (folder / part).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels[:, :, 0].T).save(folder / part / f"{name}.png")
    (folder / "labels.json").write_text(json.dumps({"labels": _label_names()}, indent=2))
    return names


def points_of(geometry: Geometry, shift: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Points:
    """Where voxel centres, moved by ``shift`` voxels, lie in the scanner: (3, N) in mm, the last array axis fastest."""
    indices = np.indices(geometry.shape).reshape(3, -1) + np.array(shift)[:, None]
    points: Points = geometry.affine[:3, :3] @ indices + geometry.affine[:3, 3:]
    return points


def _draw_grid(rng: np.random.Generator, anatomy: Anatomy) -> Geometry:
    """A grid of its own size around the patient: thicker slices, tilted up to 15 degrees, any array orientation."""
    spacing = np.append(rng.uniform(1.12, 1.22, 2), rng.uniform(1.4, 1.55))
    counts = np.rint(np.divide(FIELD_OF_VIEW, spacing)).astype(int) + rng.integers(-1, 2, 3)
    shape = (int(counts[0]), int(counts[1]), int(counts[2]))
    tilt = Rotation.from_euler("xyz", rng.uniform(-15, 15, 3), degrees=True).as_matrix()
    turn = Turn(tuple(int(axis) for axis in rng.permutation(3)), tuple(bool(flip) for flip in rng.integers(0, 2, 3)))
    return Geometry(shape, _affine(tilt * spacing, shape, anatomy.centre)).turned(turn)


def _affine(
    axes: NDArray[np.float64], shape: tuple[int, int, int], centre: tuple[float, float, float]
) -> NDArray[np.float64]:
    """The affine whose columns are ``axes`` and whose middle voxel lies at ``centre``."""
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = np.array(centre) - axes @ ((np.array(shape) - 1) / 2)
    return affine


def _scan(rng: np.random.Generator, anatomy: Anatomy, geometry: Geometry, source: Source) -> Phantom:
    points = points_of(geometry)
    signal = _blurred(anatomy, geometry) * _bias(rng, points, anatomy).reshape(geometry.shape)
    gain = 10 ** rng.uniform(2, 4)  # scanners agree on no unit
    voxels = np.rint(gain * _noisy(rng, signal)).astype(np.float32)
    labels = anatomy.labels_at(points).reshape(geometry.shape)
    return Phantom(Volume(voxels[None], geometry, source), labels, anatomy)


def _blurred(anatomy: Anatomy, geometry: Geometry) -> NDArray[np.float64]:
    """The mean signal of each voxel, not of its centre, seen through the scanner's point spread."""
    steps = (np.arange(SUBVOXELS) + 0.5) / SUBVOXELS - 0.5
    along = [steps if count > 1 else [0.0] for count in geometry.shape]
    shifts = [(float(x), float(y), float(z)) for x in along[0] for y in along[1] for z in along[2]]
    mean = sum(anatomy.signal_at(points_of(geometry, shift)) for shift in shifts) / len(shifts)
    return np.asarray(gaussian_filter(np.reshape(mean, geometry.shape), 0.4))


def _bias(rng: np.random.Generator, points: Points, anatomy: Anatomy) -> NDArray[np.float64]:
    """A smooth drift of brightness (N,): the exponential of a quadratic in the patient's coordinates."""
    x, y, z = (points - np.array(anatomy.centre)[:, None]) / (np.array(FIELD_OF_VIEW)[:, None] / 2)
    terms = np.stack([x, y, z, x * y, y * z, x * z, x * x, y * y, z * z])
    return np.asarray(np.exp(rng.uniform(-BIAS, BIAS, len(terms)) @ terms / 2))


def _noisy(rng: np.random.Generator, signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rician noise: the magnitude of a signal whose two channels are both noisy."""
    real, imaginary = rng.normal(0, NOISE, (2, *signal.shape))
    return np.asarray(np.hypot(signal + real, imaginary))


def _save(voxels: NDArray[np.integer], phantom: Phantom, path: Path) -> None:
    nib.save(nib.Nifti1Image(voxels, phantom.volume.geometry.affine), path)


def _label_names() -> dict[str, str]:
    return {"0": "background"} | {str(value): name for value, name in NAMES.items()}


def _description(names: list[str]) -> dict[str, object]:
    """An MSD ``dataset.json``."""
    files = [{"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in names]
    return {
        "name": "Phantoms",
        "description": "made-up patients with known truth",
        "licence": "Apache-2.0",
        "modality": {"0": "MR"},
        "labels": _label_names(),
        "numTraining": len(names),
        "training": files,
    }
