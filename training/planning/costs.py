"""What a training step costs before it is made: memory, and seconds.

Seconds on a CPU are fitted to three kinds of data on two cores with bf16; those on a GPU are a judgement. They rank
configurations, and are what there is when steps are not measured (`probe.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from skipseg.models.networks.cost import cost
from skipseg.models.networks.recipe import Recipe

FEATURE_COPIES = 1.65  # of what layers leave behind, while training in fp32; two thirds of that in bf16
ANSWER_COPIES = 10  # of the image and the classes' scores at the patch's own size: being cut, changed, scored, compared
WEIGHT_COPIES = 5  # weights, gradients, their average and the optimiser's two moments
PROGRAM_BYTES = 128 * 2**20  # compiled kernels and threads' buffers, beside what was there before
MULTIPLICATIONS_PER_SECOND = {"cpu": 2.0e11, "cuda": 4.0e13}
FEATURES_PER_SECOND = {"cpu": 3.2e8, "cuda": 6.4e10}  # written and read again, forward and backward
PATCH_VOXELS_PER_SECOND = {"cpu": 2.0e7, "cuda": 2.0e9}  # of each channel and of the truth, cut and changed
STEP_SECONDS = {"cpu": 0.01, "cuda": 0.02}  # of any step, however small
BACKWARD = 2.0  # times the forward pass


def training_bytes(recipe: Recipe, patch: Sequence[int], batch: int) -> int:
    """Memory that training adds: what layers leave behind, image and scores, weights with gradients, average and the
    optimiser's moments. Peaks measured on a CPU lie at 0.6 to 1.0 of it."""
    one = cost(recipe, tuple(patch))
    answers = (recipe.classes + recipe.channels) * prod(patch) * ANSWER_COPIES
    return int(4 * (batch * (FEATURE_COPIES * one.features + answers) + WEIGHT_COPIES * one.weights)) + PROGRAM_BYTES


def guessed_seconds(recipe: Recipe, patch: Sequence[int], batch: int, device: str) -> float:
    """Of one training step."""
    one = cost(recipe, tuple(patch))
    a_patch = (
        (1 + BACKWARD) * one.multiplications / MULTIPLICATIONS_PER_SECOND[device]
        + one.features / FEATURES_PER_SECOND[device]
        + (recipe.channels + 1) * prod(patch) / PATCH_VOXELS_PER_SECOND[device]
    )
    return STEP_SECONDS[device] + batch * a_patch
