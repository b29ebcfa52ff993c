"""Where voxels lie in the patient: shape and affine, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from nibabel.orientations import aff2axcodes, axcodes2ornt, inv_ornt_aff, io_orientation, ornt_transform
from numpy.typing import NDArray

from skipseg.models.errors import PlanError, ScanUnusable

Shape = tuple[int, int, int]
Scalar = TypeVar("Scalar", bound=np.generic)
Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class Geometry:
    """The grid of a scan.

    ``shape`` counts voxels along the three array axes (a 2D image is one voxel thick). ``affine`` (4, 4) takes voxel
    indices to millimetres in the patient, x to the Right, y to the Anterior, z to the Superior (NIfTI-1, section
    on coordinate systems).

    Raises ``ScanUnusable`` when the affine is not finite, singular, or has spacings outside 1e-3 .. 1e3 mm.
    """

    shape: Shape
    affine: NDArray[np.float64]

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        affine.flags.writeable = False
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        _check(self.shape, affine)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Millimetres between voxel centres along each array axis."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @property
    def orientation(self) -> str:
        """The patient direction each array axis points closest to, such as ``"RAS"`` or ``"LPI"``."""
        return "".join(aff2axcodes(self.affine))

    @property
    def voxel_volume(self) -> float:
        """Cubic millimetres of one voxel."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    def matches(self, other: Geometry, tolerance_mm: float = 1e-2) -> bool:
        """Whether both grids put every corner voxel in the same place, within ``tolerance_mm``."""
        return self.shape == other.shape and self.distance(other) <= tolerance_mm

    def distance(self, other: Geometry) -> float:
        """The largest distance in mm between the places of equal corner voxels of this grid."""
        corners = np.stack(np.meshgrid(*[(0, n - 1) for n in self.shape], indexing="ij"), -1).reshape(-1, 3)
        apart = corners @ (self.affine - other.affine)[:3, :3].T + (self.affine - other.affine)[:3, 3]
        return float(np.linalg.norm(apart, axis=1).max())

    def turn_to(self, orientation: str) -> Turn:
        """The axis permutation and flips that bring this grid closest to ``orientation``."""
        if sorted(map(_axis_of, orientation)) != [0, 1, 2]:
            raise PlanError(f"an orientation names each of R/L, A/P and S/I once, such as RAS; got {orientation!r}")
        change = ornt_transform(io_orientation(self.affine), axcodes2ornt(orientation))
        return Turn(tuple(int(a) for a in change[:, 0]), tuple(bool(f < 0) for f in change[:, 1]))

    def turned(self, turn: Turn) -> Geometry:
        """The same places in the patient, seen through turned array axes."""
        change = np.stack([turn.goes_to, np.where(turn.flipped, -1, 1)], axis=1)
        return Geometry(turn.moved(self.shape), self.affine @ inv_ornt_aff(change, self.shape))


@dataclass(frozen=True)
class Turn:
    """An exact rearrangement of array axes: axis ``i`` is flipped if ``flipped[i]`` and moves to ``goes_to[i]``."""

    goes_to: tuple[int, ...]
    flipped: tuple[bool, ...]

    def apply(self, voxels: NDArray[Scalar]) -> NDArray[Scalar]:
        """Turn an array of shape (..., X, Y, Z); a view, no copy."""
        turned = np.flip(voxels, self._mirrored)
        return np.moveaxis(turned, [-3, -2, -1], [axis - 3 for axis in self.goes_to])

    def moved(self, per_axis: tuple[Value, Value, Value]) -> tuple[Value, Value, Value]:
        """What belongs to the array axes of a scan, such as its shape, in the order of the turned ones."""
        x, y, z = (per_axis[self.goes_to.index(axis)] for axis in range(3))
        return x, y, z

    def undo(self, voxels: NDArray[Scalar]) -> NDArray[Scalar]:
        """The way back: ``turn.undo(turn.apply(voxels))`` equals ``voxels``."""
        back = np.moveaxis(voxels, [axis - 3 for axis in self.goes_to], [-3, -2, -1])
        return np.flip(back, self._mirrored)

    @property
    def _mirrored(self) -> tuple[int, ...]:
        return tuple(axis - 3 for axis, flip in enumerate(self.flipped) if flip)


def as_millimetres(spacing: Iterable[float]) -> str:
    """A spacing for a message, such as ``0.7x0.7x1.25``."""
    return "x".join(f"{mm:.4g}" for mm in spacing)


def _axis_of(code: str) -> int:
    return next((axis for axis, pair in enumerate(("RL", "AP", "SI")) if code in pair), -1)


def _check(shape: Shape, affine: NDArray[np.float64]) -> None:
    if len(shape) != 3 or min(shape) < 1:
        raise ScanUnusable(f"a grid needs three axes of at least one voxel; got shape {shape}")
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        raise ScanUnusable("the affine must be 4x4 with finite entries; export the scan again with a valid position")
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    if lengths.min() < 1e-3 or lengths.max() > 1e3:
        raise ScanUnusable(f"voxel spacing must lie between 0.001 and 1000 mm; got {lengths.round(6).tolist()} mm")
    if abs(np.linalg.det(affine[:3, :3] / lengths)) < 1e-3:
        raise ScanUnusable("the affine is singular: two array axes point in the same direction")
