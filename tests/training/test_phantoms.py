"""Phantoms: known truth, realistic trouble, files that any reader takes."""

from itertools import product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from skipseg.training.anatomy import NAMES
from skipseg.training.datasets.dataset import open_dataset, read_case
from skipseg.training.phantoms import (
    Phantom,
    make_phantom,
    make_picture,
    points_of,
    write_phantom_dataset,
    write_picture_dataset,
)

SEEDS = range(12)


@pytest.fixture(scope="module")
def phantoms() -> list[Phantom]:
    return [make_phantom(seed) for seed in SEEDS]


def dice(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float(2 * np.sum(one & other) / (one.sum() + other.sum()))


def test_equal_seeds_give_equal_phantoms_and_others_do_not() -> None:
    first, again, other = make_phantom(5), make_phantom(5), make_phantom(6)
    assert np.array_equal(first.volume.voxels, again.volume.voxels)
    assert np.array_equal(first.volume.geometry.affine, again.volume.geometry.affine)
    assert first.volume.voxels.shape != other.volume.voxels.shape or not np.array_equal(first.labels, other.labels)


def test_grids_differ_in_size_orientation_and_tilt_as_those_of_real_scanners_do(phantoms: list[Phantom]) -> None:
    grids = [phantom.volume.geometry for phantom in phantoms]
    assert len({grid.shape for grid in grids}) == len(grids)
    assert len({grid.orientation for grid in grids}) > len(grids) / 2
    assert all(35 <= count <= 50 for grid in grids for count in grid.shape)
    assert all(max(grid.spacing) > 1.05 * min(grid.spacing) for grid in grids)
    assert all(np.count_nonzero(np.abs(grid.affine[:3, :3]) > 1e-6) == 9 for grid in grids)


def test_every_label_is_there_and_large_enough_to_learn(phantoms: list[Phantom]) -> None:
    for phantom in phantoms:
        counts = np.bincount(phantom.labels.ravel(), minlength=len(NAMES) + 1)
        assert counts.min() > 200
        assert len(counts) == len(NAMES) + 1


def test_brightness_is_as_noisy_and_as_drifting_as_promised(phantoms: list[Phantom]) -> None:
    for phantom in phantoms:
        brightness = phantom.volume.voxels[0][phantom.labels == 2]
        assert 0.04 < brightness.std() / brightness.mean() < 0.25


def test_no_window_of_brightness_finds_a_label(phantoms: list[Phantom]) -> None:
    for phantom, value in product(phantoms[:4], NAMES):
        voxels = phantom.volume.voxels[0]
        edges = np.quantile(voxels, np.linspace(0, 1, 40))
        windows = [(low, high) for low, high in product(edges, edges) if low < high]
        best = max(dice((voxels >= low) & (voxels <= high), phantom.labels == value) for low, high in windows)
        assert best < 0.7


def test_files_hold_the_truth_at_its_place_in_the_scanner(tmp_path: Path) -> None:
    names = write_phantom_dataset(tmp_path, cases=3, seed=40)
    for number, name in enumerate(names):
        image = nib.load(tmp_path / "imagesTr" / f"{name}.nii.gz")
        label = nib.load(tmp_path / "labelsTr" / f"{name}.nii.gz")
        indices = np.indices(label.shape).reshape(3, -1).T
        places = nib.affines.apply_affine(label.affine, indices).T
        truth = make_phantom(40 + number).anatomy.labels_at(places)
        assert np.array_equal(image.affine, label.affine)
        # The file keeps its affine in single precision: a voxel on the very edge may fall on the other side.
        assert np.mean(np.asarray(label.dataobj).reshape(-1) != truth) < 1e-4


def test_a_lost_flip_or_a_shift_of_one_voxel_shows(phantoms: list[Phantom]) -> None:
    for phantom in phantoms[:4]:
        shifted = phantom.anatomy.labels_at(points_of(phantom.volume.geometry, (1, 0, 0)))
        flipped = phantom.labels[::-1].ravel()
        assert dice(shifted == 1, phantom.labels.ravel() == 1) < 0.97
        assert dice(flipped == 1, phantom.labels.ravel() == 1) < 0.97


def test_a_phantom_dataset_opens_as_any_other(tmp_path: Path) -> None:
    write_phantom_dataset(tmp_path, cases=2, seed=7)
    dataset = open_dataset(tmp_path)
    volume, labels = read_case(dataset, dataset.cases[1])
    assert [label.name for label in dataset.labels.foreground] == list(NAMES.values())
    assert np.array_equal(labels, make_phantom(8).labels)
    assert np.array_equal(volume.voxels, make_phantom(8).volume.voxels)


def test_a_picture_dataset_opens_as_two_folders(tmp_path: Path) -> None:
    write_picture_dataset(tmp_path, cases=2, seed=3)
    dataset = open_dataset(tmp_path)
    _, labels = read_case(dataset, dataset.cases[0])
    assert dataset.layout == "folders"
    assert np.array_equal(labels, make_picture(3).labels)
    assert set(np.unique(labels)) == {0, *NAMES}
    with Image.open(tmp_path / "images" / "picture_000.png") as picture:
        assert picture.size == make_picture(3).labels.shape[:2]
