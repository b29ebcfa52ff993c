"""What a mask says in numbers: the JSON form of a mask."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from skipseg.models.labels import Label
from skipseg.models.scans.maker import Trust
from skipseg.models.scans.volume import Mask


class LabelSize(BaseModel):
    """How much of a scan one label covers; without a volume where the scan knows no millimetres."""

    model_config = ConfigDict(frozen=True)

    value: int
    name: str
    voxels: int
    volume_mm3: float | None
    volume_ml: float | None


class Grid(BaseModel):
    """The grid of the scan: voxel counts, and voxel indices to RAS millimetres."""

    model_config = ConfigDict(frozen=True)

    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    orientation: str
    affine: tuple[tuple[float, ...], ...]


class MaskSummary(BaseModel):
    """Every label but the background, found or not, in the order of the bundle's labels."""

    model_config = ConfigDict(frozen=True)

    labels: tuple[LabelSize, ...]
    geometry: Grid
    trust: Trust | None = None  # None: nobody looked at the network's scores


def summarise(mask: Mask) -> MaskSummary:
    """Count the voxels of every label and give their volumes, and the trust where the mask was judged."""
    counts, volumes, geometry = mask.counts(), mask.volumes_mm3(), mask.geometry
    return MaskSummary(
        labels=tuple(_size(label, counts, volumes) for label in mask.labels.foreground),
        geometry=Grid(
            shape=geometry.shape,
            spacing_mm=geometry.spacing,
            orientation=geometry.orientation,
            affine=tuple(tuple(row) for row in geometry.affine.tolist()),
        ),
        trust=None if mask.maker is None else mask.maker.trust,
    )


def _size(label: Label, counts: dict[str, int], volumes: dict[str, float] | None) -> LabelSize:
    volume = None if volumes is None else volumes[label.name]
    return LabelSize(
        value=label.value,
        name=label.name,
        voxels=counts[label.name],
        volume_mm3=volume,
        volume_ml=None if volume is None else volume / 1000,
    )
