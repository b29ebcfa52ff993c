"""A scan in memory, and the mask that answers it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skipseg.models.errors import ScanUnusable
from skipseg.models.labels import Labels
from skipseg.models.scans.geometry import Geometry, as_millimetres
from skipseg.models.scans.maker import Maker, Trust


@dataclass(frozen=True)
class Source:
    """What a file said beyond voxels and geometry, kept so that a mask can be written back the same way.

    ``format`` is one of the names in ``reader.FORMATS``; ``header`` belongs to that format's reader and writer alone.
    """

    format: str
    header: Any = None
    compressed: bool = False

    @property
    def series(self) -> str:
        """Of DICOM: the UID of the series; of several channels one for each, with commas between."""
        return str(getattr(self.header, "read", ""))

    @property
    def notes(self) -> tuple[str, ...]:
        """What whoever gets the mask should know of how the scan was read."""
        return getattr(self.header, "notes", ())

    @property
    def has_millimetres(self) -> bool:
        """Whether the format says how large a voxel is; a picture's pixels count as 1 mm where a grid is needed."""
        return self.format not in ("png", "tiff")


@dataclass(frozen=True, eq=False)
class Volume:
    """Voxels (channels, X, Y, Z) as float32 on one grid; a 2D image has Z = 1 and X = columns, Y = rows."""

    voxels: NDArray[np.float32]
    geometry: Geometry
    source: Source

    def __post_init__(self) -> None:
        if self.voxels.ndim != 4 or self.voxels.shape[1:] != self.geometry.shape:
            raise ScanUnusable(f"voxels {self.voxels.shape} do not lie on the grid {self.geometry.shape}")

    @property
    def channels(self) -> int:
        return int(self.voxels.shape[0])


@dataclass(frozen=True, eq=False)
class Mask:
    """Label values (X, Y, Z) as uint8 or uint16 on the grid of the scan they answer, and who made them, where known."""

    voxels: NDArray[np.unsignedinteger]
    geometry: Geometry
    source: Source
    labels: Labels
    maker: Maker | None = None

    def __post_init__(self) -> None:
        if self.voxels.shape != self.geometry.shape:
            raise ScanUnusable(f"mask {self.voxels.shape} does not lie on the grid {self.geometry.shape}")

    def judged(self, trust: Trust) -> Mask:
        """The same mask, whose maker says how far it may be trusted; one of no known maker stays as it is."""
        return self if self.maker is None else replace(self, maker=replace(self.maker, trust=trust))

    def counts(self) -> dict[str, int]:
        """Voxels per label name, background left out."""
        found = np.zeros(max(self.labels.values) + 1, dtype=np.int64)
        for plane in self.voxels:  # one at a time, since counting takes 8 bytes a voxel
            found += np.bincount(plane.ravel(), minlength=len(found))
        return {label.name: int(found[label.value]) for label in self.labels.foreground}

    def volumes_mm3(self) -> dict[str, float] | None:
        """Cubic millimetres per label name, background left out; None when the scan is a picture (PNG, TIFF)."""
        if not self.source.has_millimetres:
            return None
        return {name: count * self.geometry.voxel_volume for name, count in self.counts().items()}


def stack(volumes: list[Volume]) -> Volume:
    """Several scans of one grid as the channels of one volume, in order.

    Raises ``ScanUnusable`` when their grids differ by more than 0.01 mm.
    """
    first = volumes[0]
    for number, other in enumerate(volumes[1:], start=2):
        if not first.geometry.matches(other.geometry):
            raise ScanUnusable(
                f"all channels must share one grid; channel 1 has shape {first.geometry.shape} and spacing "
                f"{as_millimetres(first.geometry.spacing)} mm, channel {number} has {other.geometry.shape} and "
                f"{as_millimetres(other.geometry.spacing)} mm or lies elsewhere; resample them onto one grid first"
            )
    if len(volumes) == 1:
        return first
    return Volume(np.concatenate([volume.voxels for volume in volumes]), first.geometry, first.source)
