"""A made-up patient whose every point in the scanner is known: shapes in millimetres, painted one over the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

Points = NDArray[np.float64]  # (3, N): x to the Right, y to the Anterior, z to the Superior, in mm
Inside = NDArray[np.bool_]  # (N,)

NAMES = {1: "organ", 2: "lesion", 3: "vessel"}
AIR = 0.02  # signal outside of the patient


class Shape(Protocol):
    """A region of space."""

    def contains(self, points: Points) -> Inside: ...


@dataclass(frozen=True)
class Ellipsoid:
    """``radii`` in mm along axes turned by ``angles`` (degrees about x, y, z)."""

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    angles: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def contains(self, points: Points) -> Inside:
        turned = Rotation.from_euler("xyz", self.angles, degrees=True).as_matrix().T @ (points - _column(self.centre))
        inside: Inside = np.square(turned / _column(self.radii)).sum(axis=0) <= 1
        return inside


@dataclass(frozen=True)
class Tube:
    """A tube along z whose centre line sways ``sway`` mm to all sides, once every ``period`` mm."""

    centre: tuple[float, float, float]
    radius: float
    sway: float
    period: float

    def contains(self, points: Points) -> Inside:
        x, y, z = points - _column(self.centre)
        phase = 2 * np.pi * z / self.period
        inside: Inside = np.hypot(x - self.sway * np.cos(phase), y - self.sway * np.sin(phase)) <= self.radius
        return inside


@dataclass(frozen=True)
class Both:
    """Where two shapes overlap."""

    one: Shape
    other: Shape

    def contains(self, points: Points) -> Inside:
        return self.one.contains(points) & self.other.contains(points)


@dataclass(frozen=True)
class Tissue:
    """A region of one signal; ``label`` 0 is background, however bright it is."""

    shape: Shape
    signal: float
    label: int = 0


@dataclass(frozen=True)
class Anatomy:
    """Tissues in the order of painting: a later one covers an earlier one."""

    centre: tuple[float, float, float]
    tissues: tuple[Tissue, ...]

    def labels_at(self, points: Points) -> NDArray[np.uint8]:
        """The truth (N,) at points (3, N)."""
        labels = np.zeros(points.shape[1], np.uint8)
        for tissue in self.tissues:
            labels[tissue.shape.contains(points)] = tissue.label
        return labels

    def signal_at(self, points: Points) -> NDArray[np.float64]:
        """What a perfect scanner would measure (N,) at points (3, N)."""
        signal = np.full(points.shape[1], AIR)
        for tissue in self.tissues:
            signal[tissue.shape.contains(points)] = tissue.signal
        return signal


def draw_anatomy(rng: np.random.Generator) -> Anatomy:
    """A patient of about 48 x 40 x 52 mm, each one a little different, lying off the scanner's origin.

    Every labelled signal occurs in unlabelled tissue as well: the lesion is as bright as the nodes, the organ as the
    muscle, the vessel as dark as the gut and almost as the air outside. No window of brightness finds them.
    """
    centre = _vary(rng, (0, 0, 0), 40)
    at = _Placing(rng, centre)
    fat = at.ellipsoid((0, 0, 0), (24, 20, 26))
    body = Ellipsoid(fat.centre, _shrunk(fat.radii, 0.86), fat.angles)
    organ = at.ellipsoid((8, -1, 0), (12, 11, 15))
    lesion = at.ellipsoid((9, -1, 1), (7, 7, 8))
    vessel = Tube(at.place((-9, 5, 0)), radius=rng.uniform(4, 4.6), sway=rng.uniform(1, 2), period=rng.uniform(30, 45))
    return Anatomy(
        centre,
        (
            Tissue(fat, 0.80),
            Tissue(body, 0.42),
            Tissue(at.ellipsoid((-10, -6, -3), (4, 4, 8)), 0.66),  # muscle
            Tissue(at.ellipsoid((1, -10, 10), (4, 4, 4)), 0.12),  # gut
            Tissue(at.ellipsoid((-9, -2, 13), (4, 4, 4)), 1.3),  # node
            Tissue(at.ellipsoid((-7, -2, -14), (4, 4, 4)), 1.3),  # node
            Tissue(Both(organ, body), 0.66, label=1),
            Tissue(Both(lesion, organ), 1.3, label=2),
            Tissue(Both(vessel, body), 0.12, label=3),
        ),
    )


@dataclass(frozen=True)
class _Placing:
    """Where things usually lie, and how far from there they may lie."""

    rng: np.random.Generator
    centre: tuple[float, float, float]

    def place(self, usual: tuple[float, float, float]) -> tuple[float, float, float]:
        x, y, z = np.add(self.centre, _vary(self.rng, usual, 1.0))
        return float(x), float(y), float(z)

    def ellipsoid(self, usual: tuple[float, float, float], radii: tuple[float, float, float]) -> Ellipsoid:
        wide, deep, high = np.multiply(radii, self.rng.uniform(0.9, 1.1, 3))
        return Ellipsoid(self.place(usual), (wide, deep, high), _vary(self.rng, (0, 0, 0), 10))


def _vary(rng: np.random.Generator, usual: tuple[float, float, float], by: float) -> tuple[float, float, float]:
    x, y, z = np.add(usual, rng.uniform(-by, by, 3))
    return float(x), float(y), float(z)


def _shrunk(radii: tuple[float, float, float], by: float) -> tuple[float, float, float]:
    return radii[0] * by, radii[1] * by, radii[2] * by


def _column(numbers: tuple[float, float, float]) -> Points:
    return np.array(numbers, dtype=np.float64)[:, None]
