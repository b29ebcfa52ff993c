"""Values a network can take: finite ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skipseg.models.errors import ScanUnusable


def count_not_finite(values: NDArray[np.float32]) -> int:
    return int(values.size - np.count_nonzero(np.isfinite(values)))


def refuse_not_finite(count: int, total: int) -> None:
    """Raise ``ScanUnusable`` when any of ``total`` values is not finite; nothing is replaced silently."""
    if count:
        raise ScanUnusable(
            f"{count:,} of {total:,} voxels are not finite numbers (NaN or infinite); replace them first"
        )


def require_finite(values: NDArray[np.float32]) -> None:
    refuse_not_finite(count_not_finite(values), values.size)
