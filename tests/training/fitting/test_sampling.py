"""Patches: image and truth stay together, and every voxel shown to the network was really there."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skipseg.training.fitting.cache import CachedCase
from skipseg.training.fitting.sampling import PatchSampler
from skipseg.training.fitting.spatial import SpatialSettings, draw_map

STILL = SpatialSettings(turn_share=0, flips=(False, False, False))


def case(shape, seed=0):
    """Voxel values equal to their class, so that image and truth of any patch must agree."""
    classes = np.zeros(shape, np.uint8)
    middle = tuple(slice(side // 3, max(side // 3 + 1, 2 * side // 3)) for side in shape)
    classes[middle] = 1 + np.random.default_rng(seed).integers(0, 2)
    places = tuple(np.argwhere(classes == value).astype(np.int32) for value in (1, 2) if (classes == value).any())
    return CachedCase(classes[None].astype(np.float16), classes, places)


@settings(max_examples=40, deadline=None)
@given(st.tuples(*[st.integers(3, 30)] * 3), st.integers(0, 1000))
def test_image_and_truth_of_a_patch_agree_voxel_for_voxel(shape, seed):
    sampler = PatchSampler([case(shape, seed)], (12, 10, 9), 2, seed, SpatialSettings(turn_share=0))
    images, classes = sampler.draw(seed)
    assert images.shape == (2, 1, 12, 10, 9)
    assert torch.equal(images[:, 0].long(), classes)


def test_image_and_truth_of_turned_patches_agree_away_from_edges():
    sampler = PatchSampler([case((30, 32, 28))], (24, 24, 24), 4, 0, SpatialSettings(turn_share=1))
    images, classes = sampler.draw(3)
    inside = (images[:, 0] - images[:, 0].round()).abs() < 1e-3
    assert inside.float().mean() > 0.6
    assert (images[:, 0].round().long() == classes)[inside].float().mean() > 0.99


def test_a_step_is_drawn_alike_by_whoever_draws_it_and_steps_differ():
    cases = [case((20, 20, 20), seed) for seed in range(5)]
    first, second = (PatchSampler(cases, (8, 8, 8), 3, 7, SpatialSettings()) for _ in range(2))
    first.draw(0)
    assert torch.equal(first.draw(4)[0], second.draw(4)[0])
    assert not torch.equal(second.draw(4)[0], second.draw(5)[0])


def test_processes_that_train_together_draw_the_patches_that_one_would():
    cases = [case((20, 20, 20), seed) for seed in range(5)]
    whole = PatchSampler(cases, (8, 8, 8), 4, 7, SpatialSettings(turn_share=0.5)).draw(3)
    shares = [
        PatchSampler(cases, (8, 8, 8), 2, 7, SpatialSettings(turn_share=0.5), rank=rank, world=2).draw(3)
        for rank in range(2)
    ]
    for i in range(2):
        assert torch.equal(torch.cat([share[i] for share in shares]), whole[i])


def test_a_turned_outline_stays_smooth():
    """A ball keeps its volume and its roundness: with the nearest voxel its surface would be a tenth larger."""
    side = 40
    distance = np.linalg.norm(np.indices((side,) * 3) - (side - 1) / 2, axis=0)
    ball = (distance < 12).astype(np.uint8)
    drawn = CachedCase(ball[None].astype(np.float16), ball, (np.argwhere(ball == 1).astype(np.int32),))
    settings = SpatialSettings(foreground_share=0, turn_share=1, scale=(1, 1), flips=(False,) * 3)
    for step in range(5):
        image, truth = PatchSampler([drawn], (side,) * 3, 1, 0, settings).draw(step)
        assert abs(int(truth.sum()) / int(ball.sum()) - 1) < 0.02
        assert torch.equal(truth[0] == 1, image[0, 0] > 0.5)


def test_classes_beyond_the_range_of_a_byte_are_drawn():
    classes = np.zeros((10, 10, 10), np.uint16)
    classes[3:7, 3:7, 3:7] = 700
    many = CachedCase(classes[None].astype(np.float16), classes, (np.argwhere(classes == 700).astype(np.int32),))
    truth = PatchSampler([many], (12, 12, 12), 1, 0, SpatialSettings(turn_share=1)).draw(0)[1]
    assert set(truth.unique().tolist()) == {0, 700}


def test_every_case_is_seen_once_before_any_comes_again():
    cases = [CachedCase(np.full((1, 8, 8, 8), i, np.float16), np.zeros((8, 8, 8), np.uint8), ()) for i in range(7)]
    sampler = PatchSampler(cases, (8, 8, 8), 7, 0, STILL)
    for step in range(3):
        assert sorted(sampler.draw(step)[0][:, 0, 0, 0, 0].tolist()) == list(range(7))


def test_a_patch_that_holds_the_whole_case_shows_all_of_it():
    values = np.random.default_rng(0).normal(size=(1, 7, 9, 8)).astype(np.float16)
    whole = CachedCase(values, np.zeros((7, 9, 8), np.uint8), ())
    images, _ = PatchSampler([whole], (8, 12, 8), 1, 0, STILL).draw(0)
    assert torch.count_nonzero(images) == np.count_nonzero(values)


def test_patches_are_centred_on_labels_as_often_as_asked():
    classes = np.zeros((60, 60, 60), np.uint8)
    classes[2:4, 2:4, 2:4] = 1
    rare = CachedCase(classes[None].astype(np.float16), classes, (np.argwhere(classes == 1).astype(np.int32),))
    seen = [PatchSampler([rare], (12, 12, 12), 4, 0, STILL).draw(step)[1].amax((1, 2, 3)) for step in range(50)]
    assert 0.4 < torch.cat(seen).float().mean() < 0.65


@pytest.mark.parametrize("depth", [1, 5])
def test_a_2d_patch_comes_from_one_slice(depth):
    classes = np.zeros((20, 22, depth), np.uint8)
    classes[5:9, 5:9, depth // 2] = 1
    image = np.broadcast_to(np.arange(depth, dtype=np.float16), (20, 22, depth))[None]
    sampler = PatchSampler([CachedCase(image, classes, (np.argwhere(classes == 1),))], (16, 16), 6, 0, STILL)
    images, truth = sampler.draw(0)
    assert images.shape == (6, 1, 16, 16)
    assert all(len(patch.unique()) == 1 for patch in images)
    assert truth[images[:, 0] == depth // 2].any() or depth == 1


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 1.0, 1.3), (0.5, 0.5, 5.0)])
def test_a_turned_patch_is_turned_in_millimetres(spacing):
    settings = SpatialSettings(turn_share=1, scale=(1, 1), flips=(False,) * 3, spacing=spacing)
    millimetres = np.diag(spacing)
    for seed in range(5):
        turn = millimetres @ draw_map(settings, 3, np.random.default_rng(seed)) @ np.linalg.inv(millimetres)
        np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)
        assert not np.allclose(turn, np.eye(3), atol=1e-3)


def test_thick_slices_are_turned_within_their_plane_alone():
    settings = SpatialSettings(turn_share=1, scale=(1, 1), flips=(False,) * 3, spacing=(0.8, 0.8, 5.0))
    thick = CachedCase(np.ones((1, 160, 160, 20), np.float16), np.zeros((160, 160, 20), np.uint8), ())
    sampler = PatchSampler([thick], (96, 96, 16), 2, 0, settings)
    outside = [(sampler.draw(step)[0] == 0).float().mean() for step in range(6)]
    assert max(outside) < 0.1
