"""A mask's grid in DICOM's words: millimetres to the Left, Posterior and Superior, planes of rows of columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skipseg.models.errors import ScanUnusable
from skipseg.models.scans.geometry import Geometry

Floats = NDArray[np.float64]

LPS_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
MOST_SHEAR_MM = 0.01  # DICOM's planes have no shear, and a header's rounding is far below


@dataclass(frozen=True, eq=False)
class PlaneGrid:
    """Parallel planes of one size, one above the other along the normal.

    ``row`` and ``column`` are the unit vectors along which the column index and the row index grow; ``position`` is the
    centre of the first voxel of the first plane.
    """

    rows: int
    columns: int
    planes: int
    row: Floats
    column: Floats
    position: Floats
    spacing: tuple[float, float]  # between rows, between columns
    apart: float  # between planes
    reversed: bool  # the mask's last axis runs against the normal: its last plane is the first here

    @classmethod
    def of(cls, geometry: Geometry) -> PlaneGrid:
        """That of a mask (columns, rows, planes); raises ``ScanUnusable`` for axes that are not at right angles."""
        affine = LPS_RAS @ geometry.affine
        columns, rows, planes = geometry.shape
        row = affine[:3, 0] / np.linalg.norm(affine[:3, 0])
        column = affine[:3, 1] - (affine[:3, 1] @ row) * row
        column /= np.linalg.norm(column)
        backward = float(affine[:3, 2] @ np.cross(row, column)) < 0
        position = affine[:3, 3] + (affine[:3, 2] * (planes - 1) if backward else 0)
        _, between_rows, apart = geometry.spacing
        grid = cls(
            rows, columns, planes, row, column, position, (between_rows, geometry.spacing[0]), apart, bool(backward)
        )
        if grid.distance(geometry) > MOST_SHEAR_MM:
            raise ScanUnusable("the mask's grid has axes that are not at right angles, which DICOM's planes must have")
        return grid

    @property
    def normal(self) -> Floats:
        return np.asarray(np.cross(self.row, self.column))

    @property
    def orientation(self) -> list[float]:
        """As ImageOrientationPatient says it."""
        return [*self.row.tolist(), *self.column.tolist()]

    @property
    def affine(self) -> Floats:
        """(column, row, plane) indices to LPS millimetres, (4, 4)."""
        affine = np.eye(4)
        affine[:3, 0], affine[:3, 1] = self.row * self.spacing[1], self.column * self.spacing[0]
        affine[:3, 2], affine[:3, 3] = self.normal * self.apart, self.position
        return affine

    def positions(self) -> Floats:
        """Where the first voxel of each plane lies, (planes, 3)."""
        return self.position + np.arange(self.planes)[:, None] * self.apart * self.normal

    def distance(self, geometry: Geometry) -> float:
        """How far the voxels of the mask lie from this grid's at most, in mm."""
        affine = self.affine
        if self.reversed:
            affine[:3, 3] += affine[:3, 2] * (self.planes - 1)
            affine[:3, 2] *= -1
        return geometry.distance(Geometry(geometry.shape, LPS_RAS @ affine))

    def stacked(self, voxels: NDArray[np.unsignedinteger]) -> NDArray[np.unsignedinteger]:
        """Voxels (columns, rows, planes) as (planes, rows, columns) in this grid's order; a view."""
        planes = voxels.T
        return planes[::-1] if self.reversed else planes
