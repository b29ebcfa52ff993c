"""The loss: zero for the truth, worse the further away, and heard at every resolution."""

import pytest
import torch
from monai.losses import DiceLoss
from torch.nn import functional

from skipseg.training.fitting.loss import batch_dice, deep_supervision, dice_and_cross_entropy, shrink

CLASSES = torch.randint(0, 3, (2, 8, 10, 12), generator=torch.Generator().manual_seed(0))
PERFECT = 30 * functional.one_hot(CLASSES, 3).movedim(-1, 1).float()


@pytest.mark.parametrize("whole_batch", [True, False])
def test_the_truth_costs_nothing_and_a_wrong_answer_costs_more_the_wronger_it_is(whole_batch):
    right = dice_and_cross_entropy(PERFECT, CLASSES, whole_batch)
    unsure = dice_and_cross_entropy(torch.zeros_like(PERFECT), CLASSES, whole_batch)
    wrong = dice_and_cross_entropy(PERFECT.roll(1, dims=1), CLASSES, whole_batch)
    assert right < 1e-3 < unsure < wrong


@pytest.mark.parametrize("whole_batch", [True, False])
def test_the_dice_part_is_the_one_monai_computes(whole_batch):
    logits = torch.randn(2, 3, 8, 10, 12)
    monai = DiceLoss(
        include_background=False, to_onehot_y=True, softmax=True, batch=whole_batch, smooth_nr=1e-5, smooth_dr=1e-5
    )
    ours = dice_and_cross_entropy(logits, CLASSES, whole_batch) - functional.cross_entropy(logits, CLASSES)
    torch.testing.assert_close(ours, monai(logits, CLASSES[:, None]), atol=1e-5, rtol=1e-4)


def test_a_patch_without_foreground_gives_a_finite_loss_and_gradient():
    logits = torch.randn(2, 3, 8, 8, requires_grad=True)
    dice_and_cross_entropy(logits, torch.zeros(2, 8, 8, dtype=torch.long), False).backward()
    assert torch.isfinite(logits.grad).all()


def test_every_resolution_is_heard_the_finest_most():
    outputs = [torch.randn(2, 3, 8 // n, 10 // n, 12 // n, requires_grad=True) for n in (1, 2)]
    deep_supervision(outputs, CLASSES, False).backward()
    fine, coarse = (output.grad.abs().sum() for output in outputs)
    assert fine > coarse > 0


def test_shrinking_classes_keeps_them_in_place():
    classes = torch.zeros(1, 8, 8, dtype=torch.long)
    classes[:, :4] = 2
    assert torch.equal(shrink(classes, torch.Size((4, 4)))[0], classes[0, ::2, ::2])


def test_the_running_dice_is_one_for_the_truth():
    assert batch_dice(PERFECT, CLASSES) == 1
