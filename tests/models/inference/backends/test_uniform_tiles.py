"""Tiles of one value are answered once, and masks are those that there would be without."""

from functools import partial

import numpy as np
import pytest
import torch
from bundles import small_bundle, small_plan
from nibabel import Nifti1Image
from torch import Tensor

from skipseg.models.inference.backends.eager import Eager
from skipseg.models.inference.backends.uniform_tiles import UniformTiles
from skipseg.models.inference.predictor import Predictor
from skipseg.models.scans.reader import read_scan

CPU = torch.device("cpu")


class Counted(Eager):
    """The network, and how many tiles it was asked for."""

    asked = 0

    def __call__(self, tiles: Tensor) -> Tensor:
        self.asked += len(tiles)
        return super().__call__(tiles)


@pytest.fixture
def bundle(tmp_path):
    return small_bundle(tmp_path / "bundle", small_plan(channel_count=2))


def counted(bundle, batch: int) -> Counted:
    return Counted(bundle.network(), CPU, "fp32", batch)


@pytest.mark.parametrize(("batch", "most"), [(1, 0.8), (3, 0.8), (64, 1.0)])
def test_air_around_a_body_is_asked_once_and_masks_stay(bundle, batch, most, tmp_path) -> None:
    chance = np.random.default_rng(0)
    values = np.full((70, 40, 40, 2), (-1000, 0), dtype=np.int16)
    values[:20, 10:30, 10:30] = chance.integers(0, 100, (20, 20, 20, 2))
    path = tmp_path / "scan.nii"
    Nifti1Image(values, np.eye(4)).to_filename(path)  # air of one value in each channel, and a body in a corner
    volume = read_scan(path)
    bare, sparing = counted(bundle, batch), counted(bundle, batch)
    expected = Predictor(bundle, backend=bare).segment(volume)
    found = Predictor(bundle, backend=UniformTiles(sparing)).segment(volume)
    assert np.array_equal(found.voxels, expected.voxels)
    assert len(np.unique(expected.voxels)) > 1
    assert sparing.asked <= most * bare.asked


def test_only_what_was_answered_last_is_remembered_and_each_channel_counts(bundle) -> None:
    network = counted(bundle, 8)
    backend, ask = UniformTiles(network), partial(torch.full, dtype=torch.float32)
    one, other = ask((1, 2, 16, 16, 16), 1.0), ask((1, 2, 16, 16, 16), 2.0)
    mixed = torch.cat([one[:, :1], other[:, :1]], dim=1)
    for tiles, asked in [(one, 1), (one, 1), (mixed, 2), (one, 3), (torch.cat([one, one, other]), 4), (other, 5)]:
        assert torch.allclose(backend(tiles), Eager(network.network, CPU, "fp32")(tiles), atol=1e-3)
        assert network.asked == asked


def test_a_tile_that_holds_no_number_is_never_taken_for_another(bundle) -> None:
    network = counted(bundle, 8)
    backend = UniformTiles(network)
    tiles = torch.zeros(1, 2, 16, 16, 16)
    backend(tiles)
    tiles[0, 0, 3, 3, 3] = torch.nan
    assert torch.isnan(backend(tiles)).any()
    assert network.asked == 2


def test_the_batch_is_lowered_through_it(bundle) -> None:
    network = counted(bundle, 8)
    UniformTiles(network).batch = 4
    assert network.batch == 4


def test_half_of_a_brain_without_its_skull_is_nothing(tmp_path, real_data) -> None:
    """Of the 320 tiles of 32x32x32 in this scan of 240x240x155 the network is asked for 133."""
    scan = min((real_data("brain-tumour") / "imagesTr").glob("*.nii.gz"))
    bundle = small_bundle(tmp_path / "bundle", small_plan(tile=(32, 32, 32), overlap=0.0))
    network = counted(bundle, 1)
    Predictor(bundle, backend=UniformTiles(network)).segment(read_scan(scan))
    assert network.asked < 160
