"""What a configuration costs: memory of a training step, and seconds of everything a run does, before it is done.

Seconds are those of two cores with bf16 and of a large GPU, good to a factor of two: they rank configurations of one
network, and are what there is when steps are not measured (`probe.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, prod
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from skipseg.models.networks.recipes import UNetRecipe
from skipseg.training.fingerprint import Fingerprint

if TYPE_CHECKING:
    from skipseg.training.candidates import Candidate, Timing

ACTIVATION_COPIES = 18  # of each resolution's features while training: at most 18 seen in fp32, 12 in bf16
ANSWER_COPIES = 8  # of the image and the classes' scores at the patch's own size: being cut, changed, scored, compared
WEIGHT_COPIES = 5  # weights, gradients, their average and the optimiser's two moments
PROGRAM_BYTES = 128 * 2**20  # compiled kernels and threads' buffers, beside what was there before
MULTIPLICATIONS_PER_SECOND = {"cpu": 2.0e11, "cuda": 4.0e13}
FEATURES_PER_SECOND = {"cpu": 1.0e8, "cuda": 2.0e10}  # written and read again, forward and backward
PATCH_VOXELS_PER_SECOND = {"cpu": 2.0e7, "cuda": 2.0e9}  # of each channel and of the truth, cut and changed
STEP_SECONDS = {"cpu": 0.01, "cuda": 0.02}  # of any step, however small
BACKWARD = 2.0  # times the forward pass
READ_SECONDS_PER_VOXEL = 1.5e-7  # unpacking, normalising, resampling; two threads
START_SECONDS = 5.0
MEANWHILE = 0.05  # of the fitting time goes into looks at scans kept out and into checkpoints
REPORT_SECONDS = 10.0
SCORE_SECONDS_PER_VOXEL = 6e-7  # distances between surfaces, reading and writing


class Expected(BaseModel):
    """What a run will take, stage by stage; seconds of wall clock."""

    model_config = ConfigDict(frozen=True)

    seconds_per_step: float
    measured: bool  # or guessed from the network's size
    steps: int | None  # within the time given; None when no time was
    preparing_seconds: float  # start, measuring, preprocessing
    fitting_seconds: float | None
    evaluating_seconds: float
    memory_bytes: int  # at most, while fitting


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


def expected(
    timing: Timing, fingerprint: Fingerprint, minutes: float | None, kept_out: int, overlap: float
) -> Expected:
    """What a run with a candidate will take."""
    chosen = timing.candidate
    room = None if minutes is None else fitting_seconds(chosen, fingerprint, minutes, kept_out, overlap, timing.seconds)
    return Expected(
        seconds_per_step=timing.seconds,
        measured=timing.measured,
        steps=None if room is None else int(room / timing.seconds),
        preparing_seconds=_preparing_seconds(fingerprint, kept_out),
        fitting_seconds=room,
        evaluating_seconds=_evaluating_seconds(chosen, kept_out, overlap, timing.seconds),
        memory_bytes=chosen.memory_bytes,
    )


def fitting_seconds(
    chosen: Candidate, fingerprint: Fingerprint, minutes: float, kept_out: int, overlap: float, step_seconds: float
) -> float:
    """What is left of a run's minutes; evaluation takes at most a third of them."""
    evaluating = min(_evaluating_seconds(chosen, kept_out, overlap, step_seconds), 20 * minutes)
    left = 60 * minutes - _preparing_seconds(fingerprint, kept_out) - evaluating
    return max(left * (1 - MEANWHILE), 0.0)


def _preparing_seconds(fingerprint: Fingerprint, kept_out: int) -> float:
    voxels = len(fingerprint.channels) * prod(axis.median for axis in fingerprint.shape)
    return START_SECONDS + (fingerprint.cases + kept_out) * voxels * READ_SECONDS_PER_VOXEL


def _evaluating_seconds(chosen: Candidate, kept_out: int, overlap: float, step_seconds: float) -> float:
    """Of segmenting, scoring and reporting the scans kept out, tile by tile."""
    if kept_out == 0:
        return 0.0
    along = [
        1 + max(ceil((side - tile) / (tile * (1 - overlap)) - 1e-6), 0)
        for side, tile in zip(chosen.grid.shape, chosen.patch, strict=True)
    ]
    a_tile = step_seconds / chosen.batch / (1 + BACKWARD)
    voxels = prod(chosen.grid.shape)
    return REPORT_SECONDS + kept_out * (prod(along) * a_tile + SCORE_SECONDS_PER_VOXEL * voxels)


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
