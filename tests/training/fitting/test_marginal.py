"""Learning from cases in which not every label was annotated."""

import numpy as np
import torch

from skipseg.training.fitting.cache import CachedCase
from skipseg.training.fitting.loss import dice_and_cross_entropy
from skipseg.training.fitting.marginal import merge_unannotated
from skipseg.training.fitting.sampling import PatchSampler
from skipseg.training.fitting.spatial import SpatialSettings


def test_what_is_not_annotated_counts_as_background():
    logits = torch.randn(2, 4, 3, 3)
    annotated = torch.tensor([[True, True, False, False], [True, True, True, True]])
    before, merged = logits.softmax(1), merge_unannotated(logits, annotated).softmax(1)
    torch.testing.assert_close(merged[0, 0], before[0, 0] + before[0, 2] + before[0, 3])
    torch.testing.assert_close(merged[0, 1], before[0, 1])
    assert merged[0, 2:].max() == 0
    torch.testing.assert_close(merged[1], before[1])


def test_finding_a_label_where_nobody_annotated_it_costs_nothing():
    classes = torch.zeros(1, 4, 4, dtype=torch.long)
    classes[:, 0] = 1
    background = torch.full((1, 3, 4, 4), -8.0)
    background.scatter_(1, classes[:, None], 8.0)
    finds_it = background.clone()
    finds_it[:, :, 2] = torch.tensor([-8.0, -8.0, 8.0])[:, None]
    unknown, known = torch.tensor([[True, True, False]]), torch.tensor([[True, True, True]])

    def loss(logits, annotated):
        return dice_and_cross_entropy(merge_unannotated(logits, annotated), classes, whole_batch=False)

    torch.testing.assert_close(loss(finds_it, unknown), loss(background, unknown), rtol=1e-3, atol=1e-4)
    assert loss(finds_it, known) > loss(background, known) + 1


def test_gradients_stay_finite_and_spare_the_split_between_background_and_the_unknown():
    logits = torch.zeros(1, 3, 2, 2, requires_grad=True)
    merged = merge_unannotated(logits, torch.tensor([[True, True, False]]))
    dice_and_cross_entropy(merged, torch.zeros(1, 2, 2, dtype=torch.long), whole_batch=True).backward()
    assert torch.isfinite(logits.grad).all()
    torch.testing.assert_close(logits.grad[:, 0], logits.grad[:, 2])
    assert (logits.grad[:, 1] > 0).all()


def case(value, annotated=None):
    voxels = np.full((8, 8, 8), value, np.float16)
    return CachedCase(voxels[None], np.zeros((8, 8, 8), np.uint8), (), annotated)


def test_every_second_patch_is_replayed_and_comes_with_what_was_annotated_in_it():
    cases = [case(value) for value in range(10, 16)] + [case(value, (True, True, False)) for value in (1, 2)]
    settings = SpatialSettings(turn_share=0, flips=(False,) * 3)
    sampler = PatchSampler(cases, (8, 8, 8), 4, 0, settings, replayed=2)
    drawn = []
    for step in range(3):
        images, _ = sampler.draw(step)
        old = images[:, 0, 0, 0, 0] < 10
        assert old.tolist() == [False, True, False, True]
        assert sampler.annotated(step).tolist() == [[True, True, not one] for one in old.tolist()]
        drawn += images[:, 0, 0, 0, 0].tolist()
    assert sorted(drawn[::2]) == [10, 11, 12, 13, 14, 15]
    assert sorted(drawn[1::2]) == [1, 1, 1, 2, 2, 2]


def test_datasets_that_annotate_every_label_need_no_mask():
    assert PatchSampler([case(1)], (8, 8, 8), 2, 0, SpatialSettings()).annotated(0) is None
