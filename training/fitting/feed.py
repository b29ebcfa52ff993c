"""The batches of a fit: drawn ahead by threads beside a GPU, one by one on a processor.

A processor that computes has no core to spare: a thread that draws beside it takes one away in the middle of each
layer, and all others wait for it there. `benchmarks/training.md` has what drawing in between gains.
"""

from __future__ import annotations

import os
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from skipseg.training.fitting.sampling import PatchSampler

Batch = tuple[Tensor, Tensor]
MOST_THREADS = 8


class Feed:
    """The batches of a sampler from step ``first`` on, as a context; ``waited``: seconds spent without one."""

    def __init__(self, sampler: PatchSampler, first: int, device: torch.device) -> None:
        self.sampler, self.device = sampler, device
        self.waited = 0.0
        self._ahead = 2 * _threads(device)
        self._pool = ThreadPoolExecutor(max(self._ahead // 2, 1), thread_name_prefix="patches")
        self._coming: deque[Future[Batch]] = deque()
        self._next = first

    def __enter__(self) -> Feed:
        self._draw_ahead()
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def __next__(self) -> Batch:
        """Images (N, C, *patch) and classes (N, *patch) on the device."""
        before = time.monotonic()
        images, classes = self._coming.popleft().result() if self._coming else self._draw()
        self.waited += time.monotonic() - before
        self._draw_ahead()
        return images.to(self.device), classes.to(self.device)

    def _draw(self) -> Batch:
        self._next += 1
        return self.sampler.draw(self._next - 1)

    def _draw_ahead(self) -> None:
        while len(self._coming) < self._ahead:
            self._coming.append(self._pool.submit(self.sampler.draw, self._next))
            self._next += 1


def _threads(device: torch.device) -> int:
    """None on a processor; beside a GPU half of the cores that this process has for itself."""
    if device.type == "cpu":
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return min(max(cores // processes // 2, 1), MOST_THREADS)
