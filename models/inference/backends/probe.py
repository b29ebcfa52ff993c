"""The self-test: a faster way to answer must answer as the reference does, on this machine, or is not taken.

Kernels for a new processor, driver or number format have been silently wrong before, so nothing is believed unseen.
"""

from __future__ import annotations

from math import inf
from time import perf_counter

import torch
from torch import Tensor
from torch.nn import functional

from skipseg.models.inference.backends.backend import Backend
from skipseg.models.precision import Precision

TOLERANCE: dict[Precision, float] = {"fp32": 1e-3, "bf16": 5e-2}  # of ``difference``
COARSE = 4  # blobs along each axis of a probe
NOISE = 0.3  # deviation beside that of the blobs, which is 1
FEWEST_RUNS, MOST_RUNS, ENOUGH_S = 2, 5, 0.25  # of timing one backend; the first run is the slowest


def probe(shape: tuple[int, ...], count: int = 1) -> Tensor:
    """``count`` tiles of ``shape`` (channels, *tile): blobs and noise of mean 0 and deviation 1, always the same.

    Blobs make the deep layers answer and noise the shallow ones, as scans do.
    """
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(count, shape[0], *(COARSE for _ in shape[1:]), generator=generator)
    mode = "trilinear" if len(shape) == 4 else "bilinear"
    tiles = functional.interpolate(coarse, shape[1:], mode=mode, align_corners=True)
    tiles = tiles + NOISE * torch.randn(tiles.shape, generator=generator)
    axes = tuple(range(2, tiles.ndim))
    return (tiles - tiles.mean(axes, keepdim=True)) / tiles.std(axes, keepdim=True)


def difference(found: Tensor, expected: Tensor) -> float:
    """How far logits (N, classes, *tile) lie off others, as a share of what these tell apart; inf when not finite.

    Both lose what all classes of a voxel share, which changes no probability. Then it is the root mean square of the
    differences over that of the deviations of ``expected`` from each class' mean: a network that answers nearly the
    same everywhere is held to the little that it does tell.
    """
    found, expected = (logits.double() - logits.double().mean(1, keepdim=True) for logits in (found, expected))
    telling = expected - expected.mean((0, *range(2, expected.ndim)), keepdim=True)
    share = float((found - expected).square().mean().sqrt() / telling.square().mean().sqrt().clamp_min(1e-30))
    return share if share < inf else inf


def answered(backend: Backend, tiles: Tensor) -> tuple[Tensor, float]:
    """What a backend answers for tiles, in memory of its own, and the seconds it takes for them at best."""
    tiles = tiles.to(backend.device)
    taken: list[float] = []
    while len(taken) < FEWEST_RUNS or (sum(taken) < ENOUGH_S and len(taken) < MOST_RUNS):
        logits, seconds = _timed(backend, tiles)
        taken.append(seconds)
    return logits.clone(), min(taken)


def _timed(backend: Backend, tiles: Tensor) -> tuple[Tensor, float]:
    start = perf_counter()
    logits = backend(tiles)
    if backend.device.type == "cuda":
        torch.cuda.synchronize(backend.device)
    return logits, perf_counter() - start
