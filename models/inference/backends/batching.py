"""How many tiles a device takes at once, and how other numbers of them fit into the sizes it was prepared for."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from skipseg.models.memory import ran_out

MOST_TILES = 64
GAIN = 1.05  # times more tiles a second, or a larger batch is not worth its memory


def padded_run(tiles: Tensor, runs: Mapping[int, Callable[[Tensor], Tensor]]) -> Tensor:
    """What the smallest run that holds all ``tiles`` (N, ...) answers for them, filled up with the last of them.

    ``runs``: from a number of tiles to what takes exactly so many; the largest is at least N.
    """
    count = len(tiles)
    size = min(size for size in runs if size >= count)
    if size > count:
        tiles = torch.cat([tiles, tiles[-1:].expand(size - count, *tiles.shape[1:])])
    return runs[size](tiles)[:count]


def doublings(most: int) -> list[int]:
    """1, 2, 4... and ``most``."""
    return sorted({most, *(2**power for power in range(most.bit_length()) if 2**power < most)})


def most_useful_batch(seconds: Callable[[int], float], most: int = MOST_TILES) -> int:
    """The power of two from which on doubling the batch gains less than 5 % of tiles a second.

    ``seconds(n)`` tells how long a batch of n takes. Where memory ends first, half of what fitted: volumes and their
    scores need room beside it.
    """
    batch, speed = 1, 1 / seconds(1)
    while 2 * batch <= most:
        try:
            faster = 2 * batch / seconds(2 * batch)
        except RuntimeError as error:
            if not ran_out(error):
                raise
            return max(batch // 2, 1)
        if faster < GAIN * speed:
            return batch
        batch, speed = 2 * batch, faster
    return batch
