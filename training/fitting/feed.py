"""Batches drawn ahead by threads, so that the device does not wait for data."""

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
    """The batches of a sampler from step ``first`` on, as a context; ``waited``: seconds in which one was missing."""

    def __init__(self, sampler: PatchSampler, first: int, device: torch.device) -> None:
        self.sampler, self.device = sampler, device
        self.waited = 0.0
        self._threads = _threads(device)
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="patches")
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
        images, classes = self._coming.popleft().result()
        self.waited += time.monotonic() - before
        self._draw_ahead()
        return images.to(self.device), classes.to(self.device)

    def _draw_ahead(self) -> None:
        while len(self._coming) < 2 * self._threads:
            self._coming.append(self._pool.submit(self.sampler.draw, self._next))
            self._next += 1


def _threads(device: torch.device) -> int:
    """One beside a processor that computes; beside a GPU half of the cores that this process has for itself."""
    if device.type == "cpu":
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return min(max(cores // processes // 2, 1), MOST_THREADS)
