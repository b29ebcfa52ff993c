"""Cells in a picture: whether each is found as one piece, which Dice cannot tell.

A gap of one pixel in a membrane joins two cells: next to nothing in Dice, everything to who follows cells. The
foreground-restricted Rand score of the ISBI 2012 challenge (Arganda-Carreras et al. 2015) counts pairs of pixels
instead. The challenge takes the best score over thresholds of the membrane's probability; ours is that of the mask.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.ndimage import label as components

from skipseg.models.labels import Labels
from skipseg.training.judging.thinning import thinned

Plane = NDArray[np.bool_]  # (X, Y)

WALLS = ("membrane", "border", "boundary", "edge", "wall", "outline")  # labels that lie between cells


class CellScore(BaseModel):
    """How well a picture is parted into cells. None: the truth has no cell."""

    model_config = ConfigDict(frozen=True)

    pixel_error: float | None  # share of pixels that differ
    v_rand: float | None  # 1 is perfect
    v_rand_thinned: float | None  # after what lies between cells was thinned to lines, as the challenge ranks


def cell_score(mask: NDArray[np.integer], truth: NDArray[np.integer], labels: Labels) -> CellScore | None:
    """Score a picture (X, Y, 1) of one foreground label; None for anything else, and where there are no two cells to
    keep apart.

    Cells are what has the label, or what has it not where its name says that it lies between cells.
    """
    if len(labels.foreground) != 1 or truth.shape[2] != 1:
        return None
    (label,) = labels.foreground
    between = any(word in label.name.lower() for word in WALLS)
    found, known = ((side[..., 0] == label.value) != between for side in (mask, truth))
    if components(known)[1] < 2:
        return None
    return CellScore(
        pixel_error=float((found != known).mean()),
        v_rand=v_rand(found, known),
        v_rand_thinned=v_rand(~thinned(~found), known),
    )


def v_rand(found: Plane, known: Plane) -> float | None:
    """The foreground-restricted Rand score of cells in a mask against those in the truth; None when it has none.

    With p pixels in both a cell found and a true cell, over the pixels of true cells alone: the sum of p² over all such
    pairs by the mean of the sums of squares of cells found and of true cells (split and merge weigh the same). A pixel
    in no cell found is a cell of its own, as in the challenge's program. Cells are connected through faces, so that
    a membrane one pixel wide parts them.
    """
    true_cells, count = components(known)
    if not count:
        return None
    cells, _ = components(found)
    of_found, of_true = cells[known].astype(np.int64), true_cells[known]
    alone = int((of_found == 0).sum())
    _, both = np.unique((of_found * (count + 1) + of_true)[of_found > 0], return_counts=True)
    in_both, in_found = _squares(both) + alone, _squares(np.bincount(of_found)[1:]) + alone
    return in_both / ((in_found + _squares(np.bincount(of_true))) / 2)


def _squares(sizes: NDArray[np.integer]) -> float:
    return float((sizes.astype(np.float64) ** 2).sum())
