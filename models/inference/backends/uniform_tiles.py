"""Tiles of nothing: air that was clipped to one value, what was masked away around a brain, padding.

A tile with one value throughout (one for each channel) is answered by the network once, and the next such tile with the
same values takes the same answer. Equal inputs have equal answers, up to the rounding by which those in a batch depend
on its size, so no plan has to prove it; a threshold below which tiles were skipped would change masks.
"""

from __future__ import annotations

import torch
from torch import Tensor

from skipseg.models.inference.backends.backend import Backend

GLANCE = 16.618  # about so many voxels of a channel; a whole number would pick all from planes at the border


class UniformTiles:
    """A backend that asks another, except for the uniform tile that it was asked last: that answer it keeps."""

    def __init__(self, asked: Backend) -> None:
        self._asked = asked
        self.name, self.precision, self.device = asked.name, asked.precision, asked.device
        self._values: Tensor | None = None  # (channels,) of the tile that is remembered
        self._answer = torch.empty(0)

    @property
    def batch(self) -> int:
        return self._asked.batch

    @batch.setter
    def batch(self, most: int) -> None:
        self._asked.batch = most

    @torch.inference_mode()
    def __call__(self, tiles: Tensor) -> Tensor:
        values, is_uniform = _values(tiles)
        known = self._known(values, is_uniform)
        if not any(known):
            logits = self._asked(tiles)
            self._remember(values, is_uniform, logits)
            return logits
        logits = self._answer.expand(len(tiles), *self._answer.shape).clone()
        if others := [at for at, is_known in enumerate(known) if not is_known]:
            logits[others] = self._asked(tiles[others])
        return logits

    def _known(self, values: Tensor, is_uniform: list[bool]) -> list[bool]:
        if self._values is None or not any(is_uniform):
            return [False] * len(is_uniform)
        same: list[bool] = (values == self._values).all(dim=1).tolist()
        return [one and alike for one, alike in zip(is_uniform, same, strict=True)]

    def _remember(self, values: Tensor, is_uniform: list[bool], logits: Tensor) -> None:
        if any(is_uniform):
            at = is_uniform.index(True)
            self._values, self._answer = values[at].clone(), logits[at].clone()


def _values(tiles: Tensor) -> tuple[Tensor, list[bool]]:
    """The first value of each tile and channel (N, channels), and which tiles hold no other; none that holds NaN.

    A few voxels tell of nearly every tile that it holds others, so that the rest need not be looked at.
    """
    flat = tiles.flatten(2)
    first, few = flat[..., :1], flat[..., :: max(int(flat.shape[2] / GLANCE), 1)]
    if not (few == first).flatten(1).all(dim=1).any():
        return first[..., 0], [False] * len(tiles)
    uniform: list[bool] = (flat == first).flatten(1).all(dim=1).tolist()
    return first[..., 0], uniform
