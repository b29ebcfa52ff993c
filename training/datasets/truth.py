"""From what a label file holds to label values a network can learn."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from skipseg.models.errors import DatasetError
from skipseg.models.scans.volume import Volume

LabelVoxels = NDArray[np.uint8] | NDArray[np.uint16]  # (X, Y, Z)

PICTURES = frozenset({"png", "tiff"})


INSTANCES_MEND = (
    "write a labels.json beside images/ and labels/: "
    '{"labels": {"0": "background", "1": "object"}, "foreground": "any"} makes every value above 0 the label 1; '
    "if the values are classes, name each of them there"
)


def whole_values(volume: Volume) -> LabelVoxels:
    """The label image's values as whole numbers, shape (X, Y, Z).

    Colour images count as grey when their colours are equal. Raises ``DatasetError`` for real colours, for
    values that are not finite, not whole (within 0.001, for files that store a scale) or not in 0 .. 65535.
    """
    voxels = _grey(volume)
    if not np.isfinite(voxels).all():
        raise DatasetError("a label image must hold finite values; this one holds NaN or infinity")
    rounded = np.rint(voxels)
    if np.abs(voxels - rounded).max(initial=0) > 1e-3:
        worst = voxels.flat[np.abs(voxels - rounded).argmax()]
        raise DatasetError(
            f"label values must be whole numbers; found {worst:g}; was the label resampled with interpolation?"
        )
    if rounded.min(initial=0) < 0 or rounded.max(initial=0) > 65535:
        raise DatasetError(f"label values must lie in 0 .. 65535; found {rounded.min():g} .. {rounded.max():g}")
    return rounded.astype(np.uint8) if rounded.max(initial=0) < 256 else rounded.astype(np.uint16)


def as_classes(voxels: LabelVoxels, known: Collection[int], any_foreground: bool = False) -> LabelVoxels:
    """The values as training uses them: instance ids become 1 if asked for, and images of 0/255 alone become 0/1."""
    if any_foreground:
        return (voxels > 0).astype(np.uint8)
    return (voxels > 0).astype(np.uint8) if 255 not in known and _black_and_white(distinct(voxels)) else voxels


def distinct(voxels: LabelVoxels) -> frozenset[int]:
    """The values that occur (by counting: labels are small numbers, and sorting them is slower)."""
    return frozenset(np.flatnonzero(counted(voxels)).tolist())


def counted(voxels: LabelVoxels, least: int = 0) -> NDArray[np.int64]:
    """How often each value from 0 on occurs, for ``least`` values or more; plane by plane, since counting a voxel takes
    eight bytes."""
    counts = np.zeros(max(int(voxels.max(initial=0)) + 1, least), dtype=np.int64)
    for plane in voxels:
        counts += np.bincount(plane.ravel(), minlength=len(counts))
    return counts


def classes_found(values_per_file: Iterable[Collection[int]], known: Collection[int] = ()) -> set[int]:
    """The label values of several files together, those of 0/255 files counted as 0/1 as ``as_classes`` reads them."""
    return {
        int(value == 255) if 255 not in known and _black_and_white(values) else value
        for values in values_per_file
        for value in values
    }


def look_like_instances(values_per_file: Sequence[Collection[int]]) -> bool:
    """Whether the values number objects instead of naming classes: many of them, and a typical file has only few."""
    everywhere: set[int] = set().union(*values_per_file) - {0}
    if len(everywhere) <= 16:
        return False
    typical = float(np.median([len(set(values) - {0}) for values in values_per_file]))
    return len(everywhere) > 255 or typical < len(everywhere) / 2


def misfit(image: Volume, label: Volume) -> str | None:
    """How the label image fails to lie on the image's grid, or None when it does (within a tenth of a voxel).

    Pictures carry no position, so between a picture and anything else only shapes are compared.
    """
    if image.geometry.shape != label.geometry.shape:
        return f"the image has shape {image.geometry.shape}, the label {label.geometry.shape}"
    if {image.source.format, label.source.format} & PICTURES:
        return None
    apart = image.geometry.distance(label.geometry)
    if apart <= 0.1 * min(image.geometry.spacing):
        return None
    return f"equal voxels of image and label lie up to {apart:.3g} mm apart"


def _grey(volume: Volume) -> NDArray[np.float32]:
    first: NDArray[np.float32] = volume.voxels[0]
    if volume.channels == 1 or (volume.channels in (3, 4) and (volume.voxels[1:3] == first).all()):
        return first
    raise DatasetError(
        f"a label image must have one channel, or equal colours; this one has {volume.channels} different ones"
    )


def _black_and_white(values: Collection[int]) -> bool:
    return 255 in values and set(values) <= {0, 255}
