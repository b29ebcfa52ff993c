"""A mask's grid in DICOM's words: millimetres to the Left, Posterior and Superior, planes of rows of columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skipseg.models.errors import ScanUnusable
from skipseg.models.scans.geometry import Geometry

Floats = NDArray[np.float64]

LPS_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
MOST_SHEAR = 2e-3  # of a length: twice what the reader takes for rounding
LEAST_SHEAR_MM = 0.02  # which is no shear


@dataclass(frozen=True, eq=False)
class PlaneGrid:
    """Parallel planes of one size, one above the other along the normal.

    ``row`` and ``column`` are the unit vectors along which the column index and the row index grow; ``position`` is the
    centre of the first voxel of the first plane, and ``step`` leads to the next one. Headers are rounded, so they need
    not stand at right angles to the last digit; ``upright`` is the same grid where they do.
    """

    rows: int
    columns: int
    planes: int
    row: Floats
    column: Floats
    position: Floats
    step: Floats
    spacing: tuple[float, float]  # between rows, between columns
    apart: float  # between planes
    reversed: bool  # the mask's last axis runs against the normal: its last plane is the first here

    @classmethod
    def of(cls, geometry: Geometry) -> PlaneGrid:
        """That of a mask (columns, rows, planes); raises ``ScanUnusable`` for axes that are not at right angles."""
        affine = LPS_RAS @ geometry.affine
        columns, rows, planes = geometry.shape
        row, column = (affine[:3, axis] / np.linalg.norm(affine[:3, axis]) for axis in (0, 1))
        backward = float(affine[:3, 2] @ np.cross(row, column)) < 0
        position = affine[:3, 3] + (affine[:3, 2] * (planes - 1) if backward else 0)
        between_columns, between_rows, apart = geometry.spacing
        step = -affine[:3, 2] if backward else affine[:3, 2]
        spacing = between_rows, between_columns
        grid = cls(rows, columns, planes, row, column, position, step, spacing, apart, backward)
        if grid.is_sheared:
            raise ScanUnusable("the mask's grid has axes that are not at right angles, which DICOM's planes must have")
        return grid

    @property
    def is_sheared(self) -> bool:
        """Whether its axes miss right angles by more than rounding."""
        long = self.apart * (self.planes - 1)
        away = float(np.linalg.norm(np.cross(self.step, self.normal))) * (self.planes - 1)
        return abs(float(self.row @ self.column)) > MOST_SHEAR or away > max(LEAST_SHEAR_MM, MOST_SHEAR * long)

    @property
    def normal(self) -> Floats:
        across = np.cross(self.row, self.column)
        return np.asarray(across / np.linalg.norm(across))

    @property
    def orientation(self) -> list[float]:
        """As ImageOrientationPatient says it."""
        return [*self.row.tolist(), *self.column.tolist()]

    @property
    def upright(self) -> Floats:
        """(column, row, plane) indices to LPS millimetres, (4, 4), with all axes at right angles."""
        affine = np.eye(4)
        affine[:3, 0], affine[:3, 1] = self.row * self.spacing[1], np.cross(self.normal, self.row) * self.spacing[0]
        affine[:3, 2], affine[:3, 3] = self.normal * self.apart, self.position
        return affine

    def positions(self) -> Floats:
        """Where the first voxel of each plane lies, (planes, 3)."""
        return self.position + np.arange(self.planes)[:, None] * self.step

    def plane_at(self, place: Floats) -> int:
        """Which plane of ``upright`` begins there."""
        return round(float((place - self.position) @ self.normal) / self.apart)

    def stacked(self, voxels: NDArray[np.unsignedinteger]) -> NDArray[np.unsignedinteger]:
        """Voxels (columns, rows, planes) as (planes, rows, columns) in this grid's order; a view."""
        planes = voxels.T
        return planes[::-1] if self.reversed else planes
