"""Normalising and resampling where they are easy to get wrong: wild values, tiny labels."""

import numpy as np
import pytest
from pydantic import ValidationError

from skipseg.models.networks.recipes import UNetRecipe
from skipseg.models.plan import Channel, Plan
from skipseg.models.preprocess import prepare, prepare_labels
from skipseg.models.scans.geometry import Geometry
from skipseg.models.scans.volume import Source, Volume

RECIPE = UNetRecipe(
    dimensions=3,
    channels=1,
    classes=3,
    widths=(4, 8),
    strides=((1, 1, 1), (2, 2, 2)),
    kernels=((3, 3, 3), (3, 3, 3)),
    blocks=(0, 1),
)


def plan(spacing=(1.0, 1.0, 1.0), **channel):
    return Plan(
        dimensions=3,
        channels=(Channel(name="MR", **channel),),
        orientation="RAS",
        spacing=spacing,
        tile=(8, 8, 8),
        network=RECIPE,
    )


def volume(voxels):
    return Volume(voxels[None].astype(np.float32), Geometry(voxels.shape, np.eye(4)), Source("nifti"))


def test_a_few_wild_values_leave_the_others_their_range_when_they_are_clipped():
    calm = np.random.default_rng(0).normal(100, 10, (20, 20, 20))
    wild = calm.copy()
    wild.flat[:8] = 1e9
    ordinary = prepare(volume(calm), plan()).image[0].numpy().ravel()[8:]
    clipped = prepare(volume(wild), plan(clip_percent=(0.5, 99.5))).image[0].numpy().ravel()[8:]
    assert np.abs(clipped - ordinary).mean() < 0.05
    assert prepare(volume(wild), plan()).image[0].numpy().ravel()[8:].std() < 1e-5


def test_percentiles_are_those_of_the_content_where_scans_are_cropped_to_it():
    voxels = np.zeros((20, 20, 20))
    voxels[6:14, 6:14, 6:14] = np.random.default_rng(0).normal(100, 10, (8, 8, 8))
    cropped = plan(clip_percent=(5, 95)).model_copy(update={"crop_to_content": True})
    image = prepare(volume(voxels), cropped).image
    assert image.shape == (1, 8, 8, 8)
    assert abs(float(image.mean())) < 1e-5
    assert float(image.max()) < 2.1


@pytest.mark.parametrize("bounds", [(99.5, 0.5), (-1, 50), (0, 101)])
def test_percentiles_that_cannot_be_are_refused(bounds):
    with pytest.raises(ValidationError, match="clip_percent"):
        Channel(name="MR", clip_percent=bounds)


def test_a_label_of_one_voxel_is_there_on_a_coarser_grid_too():
    classes = np.zeros((16, 16, 16), np.uint8)
    classes[3:9, 3:9, 3:9] = 1
    classes[12, 12, 12] = 2
    placement = prepare(volume(classes + np.arange(16)), plan(spacing=(3.0, 3.0, 3.0))).placement
    coarse = prepare_labels(classes, placement)
    assert coarse.shape == (5, 5, 5)
    assert (coarse == 2).sum() == 1
    assert coarse[4, 4, 4] == 2 or coarse[3, 3, 3] == 2
