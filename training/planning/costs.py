"""What a training step costs before it is made: memory, and seconds.

Seconds on a CPU are fitted to three kinds of data on two cores with bf16; those on a GPU are a judgement. They rank
configurations, and are what there is when steps are not measured (`probe.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from skipseg.models.networks.recipes import UNetRecipe

ACTIVATION_COPIES = 18  # of each resolution's features while training: at most 18 seen in fp32, 12 in bf16
ANSWER_COPIES = 10  # of the image and the classes' scores at the patch's own size: being cut, changed, scored, compared
WEIGHT_COPIES = 5  # weights, gradients, their average and the optimiser's two moments
PROGRAM_BYTES = 128 * 2**20  # compiled kernels and threads' buffers, beside what was there before
MULTIPLICATIONS_PER_SECOND = {"cpu": 2.0e11, "cuda": 4.0e13}
FEATURES_PER_SECOND = {"cpu": 1.0e8, "cuda": 2.0e10}  # written and read again, forward and backward
PATCH_VOXELS_PER_SECOND = {"cpu": 2.0e7, "cuda": 2.0e9}  # of each channel and of the truth, cut and changed
STEP_SECONDS = {"cpu": 0.01, "cuda": 0.02}  # of any step, however small
BACKWARD = 2.0  # times the forward pass


def training_bytes(recipe: UNetRecipe, patch: Sequence[int], batch: int) -> int:
    """Memory that training adds: activations of every resolution, image and scores, weights with gradients, average
    and the optimiser's moments. Peaks measured on a CPU lie at 0.6 to 1.0 of it."""
    activations, side = 0.0, [float(length) for length in patch]
    for width, stride in zip(recipe.widths, recipe.strides, strict=True):
        side = [length / step for length, step in zip(side, stride, strict=True)]
        activations += width * prod(side) * ACTIVATION_COPIES * 4
    activations += (recipe.classes + recipe.channels) * prod(patch) * ANSWER_COPIES * 4
    kernel = 3**recipe.dimensions
    weights = sum(
        3 * kernel * came * goes for came, goes in zip((recipe.channels, *recipe.widths), recipe.widths, strict=False)
    )
    return int(batch * activations + WEIGHT_COPIES * 4 * weights) + PROGRAM_BYTES


def guessed_seconds(recipe: UNetRecipe, patch: Sequence[int], batch: int, device: str) -> float:
    """Of one training step."""
    multiplications, features = _work(recipe, patch)
    a_patch = (
        (1 + BACKWARD) * multiplications / MULTIPLICATIONS_PER_SECOND[device]
        + features / FEATURES_PER_SECOND[device]
        + (recipe.channels + 1) * prod(patch) / PATCH_VOXELS_PER_SECOND[device]
    )
    return STEP_SECONDS[device] + batch * a_patch


def _work(recipe: UNetRecipe, patch: Sequence[int]) -> tuple[float, float]:
    """Multiplications of a forward pass over one patch, and features it leaves."""
    multiplications, features = 0.0, 0.0
    sides, came = [float(side) for side in patch], recipe.channels
    for place, (width, stride, kernel, blocks) in enumerate(
        zip(recipe.widths, recipe.strides, recipe.kernels, recipe.blocks, strict=True)
    ):
        sides = [side / step for side, step in zip(sides, stride, strict=True)]
        inner = max(2 * blocks - 1, 0) * width
        joined = 0 if place == len(recipe.widths) - 1 else 2 * width + came / prod(kernel)
        multiplications += prod(sides) * prod(kernel) * width * (came + inner + joined)
        features += prod(sides) * width * (1 + max(2 * blocks - 1, 0) + (2 if joined else 0))
        came = width
    return multiplications, features + prod(patch) * recipe.classes
