"""One network taught by several: as good as nearly all of them together, at the cost of one."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from skipseg.models.precision import Precision, autocast

TEMPERATURE = 2.0  # above 1 the teacher's doubts weigh more
TEACHERS_SHARE = 0.5  # of the loss; the rest is the truth's


class Distillation:
    """The loss of a network that learns from the truth and from a ``teacher``'s answer to the same patches.

    Cross-entropy of softened probabilities (Hinton 2015), times the temperature squared so that gradients keep their
    size. The teacher, in eval mode on ``device``, answers on the fly: patches are augmented, none comes twice.
    """

    def __init__(self, teacher: nn.Module, device: torch.device, precision: Precision) -> None:
        self.teacher, self.device, self.precision = teacher.to(device).eval(), device, precision

    def __call__(self, loss: Tensor, images: Tensor, logits: Tensor) -> Tensor:
        """The loss that counts, of that on the truth, images (N, C, *spatial) and logits (N, classes, *spatial)."""
        with torch.no_grad(), autocast(self.device, self.precision):
            taught = self.teacher(images)
        return (1 - TEACHERS_SHARE) * loss + TEACHERS_SHARE * divergence(logits, taught)


def divergence(logits: Tensor, taught: Tensor) -> Tensor:
    """Kullback-Leibler divergence of softened probabilities, the mean over voxels; 0 when both answer alike."""
    own = (logits.float() / TEMPERATURE).log_softmax(1)
    wanted = (taught.float() / TEMPERATURE).log_softmax(1)
    per_voxel = functional.kl_div(own, wanted, reduction="none", log_target=True).sum(1)
    return TEMPERATURE**2 * per_voxel.mean()
