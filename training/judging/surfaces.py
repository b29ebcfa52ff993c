"""Distances between two surfaces, measured from voxel to voxel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, find_objects
from scipy.spatial import KDTree

_ROUNDING_MM = 1e-4  # affines are stored as float32: a neighbour at 1 mm may come out as 1.0000001


@dataclass(frozen=True)
class SurfaceDistances:
    """From every surface voxel of one side to the nearest of the other, in mm."""

    of_mask: NDArray[np.float64]
    of_truth: NDArray[np.float64]

    @classmethod
    def between(cls, mask: NDArray[np.bool_], truth: NDArray[np.bool_], spacing: Sequence[float]) -> SurfaceDistances:
        """Nearest neighbours among surface voxels: memory grows with the surface, not with the box around both."""
        box = find_objects((mask | truth).astype(np.uint8))[0]
        of_mask, of_truth = (_surface(side[box], side.shape) * spacing for side in (mask, truth))
        return cls(KDTree(of_truth).query(of_mask)[0], KDTree(of_mask).query(of_truth)[0])

    def percentile(self, percent: float) -> float:
        """The larger of both directed percentiles."""
        return float(max(np.percentile(self.of_mask, percent), np.percentile(self.of_truth, percent)))

    def share_within(self, mm: float) -> float:
        """Of both surfaces together, the share that lies so near to the other."""
        both = np.concatenate([self.of_mask, self.of_truth])
        return float((both <= mm + _ROUNDING_MM).mean())


def _surface(inside: NDArray[np.bool_], shape: Sequence[int]) -> NDArray[np.intp]:
    """Indices (n, 3) of voxels with a face neighbour outside; the scan's border counts as outside."""
    flat = tuple(axis for axis, size in enumerate(shape) if size == 1)[-2:]  # one axis stays, even of a single voxel
    plane = inside.squeeze(flat)
    edge = np.expand_dims(plane & ~binary_erosion(plane), flat)
    return np.argwhere(edge)
