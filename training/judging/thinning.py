"""Shapes in a picture to lines one pixel wide."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion

# Neighbours clockwise from the one above, as Zhang and Suen number them: P2 .. P9.
_AROUND = ((-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1))


def thinned(shape: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The skeleton (X, Y) that Zhang and Suen (1984) find: connected as the shape is, lines about one pixel wide.

    A piece that shrinks to a square of four pixels goes altogether; it parted nothing. Beyond the picture's edge the
    shape is taken to go on, so that a line that leaves the picture still does. Only pixels whose surroundings changed
    are looked at again: the time grows with the area, not with the width.
    """
    padded = np.ascontiguousarray(np.pad(shape, 1, mode="edge"))  # ravelled as a view
    inside = np.pad(np.ones(shape.shape, bool), 1)
    flat, own = padded.ravel(), inside.ravel()
    steps = np.array([row * padded.shape[1] + column for row, column in _AROUND])
    look_at = np.flatnonzero(padded & inside & ~binary_erosion(padded, np.ones((3, 3)), border_value=1))
    while len(look_at):
        touched = np.empty(0, np.intp)
        for rule in _RULES:
            removed = look_at[rule[_surroundings(flat, look_at, steps)]]
            flat[removed] = False
            touched = _still(np.concatenate([touched, (removed[:, None] + steps).ravel()]), flat, own)
            look_at = _still(np.concatenate([look_at, touched]), flat, own)
        look_at = touched
    return padded[1:-1, 1:-1]


def _still(places: NDArray[np.intp], flat: NDArray[np.bool_], own: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Those of the shape, each once."""
    return np.unique(places[flat[places] & own[places]])


def _surroundings(flat: NDArray[np.bool_], places: NDArray[np.intp], steps: NDArray[np.intp]) -> NDArray[np.intp]:
    """The eight neighbours of every place as the bits of a number."""
    return np.asarray(flat[places[:, None] + steps] @ (1 << np.arange(8)))


def _rule(first: tuple[int, int, int], second: tuple[int, int, int]) -> NDArray[np.bool_]:
    """For all 256 surroundings whether the pixel goes: two to six neighbours in one run, and neither triple is full."""
    bits = (np.arange(256)[:, None] >> np.arange(8)) & 1 == 1
    count = bits.sum(axis=1)
    runs = (~bits & np.roll(bits, -1, axis=1)).sum(axis=1)
    full = bits[:, list(first)].all(axis=1) | bits[:, list(second)].all(axis=1)
    return np.asarray((count >= 2) & (count <= 6) & (runs == 1) & ~full)


_RULES = (_rule((0, 2, 4), (2, 4, 6)), _rule((0, 2, 6), (0, 4, 6)))
