"""Which slices of a case to show, and how they lie on a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skipseg.models.scans.volume import Volume
from skipseg.training.datasets.truth import PICTURES, LabelVoxels

Array = NDArray[Any]

_PLANES = ("sagittal", "coronal", "axial")  # across R, A and S
_SURROUNDINGS = 24  # voxels shown around the labels at least; half their extent if that is more


@dataclass(frozen=True)
class Picture:
    """One plane of a case, rows downwards and columns to the right, as a page shows them."""

    title: str
    image: NDArray[np.float32]  # (rows, columns) or (rows, columns, 3), in 0 .. 1
    truth: LabelVoxels  # (rows, columns)
    mask: LabelVoxels
    pixel_width: float  # mm
    pixel_height: float

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in mm."""
        rows, columns = self.truth.shape
        return columns * self.pixel_width, rows * self.pixel_height


def pictures(volume: Volume, truth: LabelVoxels, mask: LabelVoxels, other: LabelVoxels | None = None) -> list[Picture]:
    """Axial, coronal and sagittal plane through the slices with the most wrong voxels, or a 2D image itself.

    ``truth`` and ``mask`` are (X, Y, Z) on the volume's grid. Where nothing is wrong, the slices with most foreground
    are shown; the planes are cut to the surroundings of the labels. With an ``other`` mask they are those in which both
    masks differ most, whichever of them is drawn.
    """
    if volume.geometry.shape[2] == 1:
        return [_flat(volume, truth, mask)]
    turn = volume.geometry.turn_to("RAS")
    spacing = volume.geometry.turned(turn).spacing
    against = truth if other is None else other
    image, truth, mask, against = (turn.apply(array) for array in (volume.voxels[0], truth, mask, against))
    foreground, wrong = (truth > 0) | (mask > 0) | (against > 0), against != mask
    at, around = busiest(wrong if wrong.any() else foreground), surroundings(foreground)
    edges = _edges(image[around])
    return [_plane(axis, at[axis], [image, truth, mask], edges, around, spacing) for axis in (2, 1, 0)]


def busiest(where: NDArray[np.bool_]) -> tuple[int, int, int]:
    """Per axis, the slice with most of the voxels asked for."""
    x, y, z = (int(where.sum(axis=tuple({0, 1, 2} - {axis})).argmax()) for axis in range(3))
    return x, y, z


def surroundings(where: NDArray[np.bool_]) -> tuple[slice, ...]:
    """The box around the voxels asked for with some context; everything when there are none."""
    if not where.any():
        return tuple(slice(0, size) for size in where.shape)
    return tuple(_stretch(np.any(where, axis=tuple({0, 1, 2} - {axis}))) for axis in range(3))


def _stretch(along: NDArray[np.bool_]) -> slice:
    first, last = np.flatnonzero(along)[[0, -1]]
    more = max(_SURROUNDINGS, int(last - first) // 2)
    return slice(max(0, int(first) - more), int(last) + 1 + more)


def _plane(
    axis: int,
    at: int,
    arrays: list[Array],
    edges: tuple[float, float],
    around: tuple[slice, ...],
    spacing: tuple[float, float, float],
) -> Picture:
    within = tuple(slice(at, at + 1) if other == axis else around[other] for other in range(3))
    image, truth, mask = (_upright(array[within].squeeze(axis)) for array in arrays)
    width, height = (mm for other, mm in enumerate(spacing) if other != axis)
    title = f"{_PLANES[axis]}, slice {at + 1} of {arrays[0].shape[axis]}"
    return Picture(title, _to_grey(image, edges), truth, mask, width, height)


def _flat(volume: Volume, truth: LabelVoxels, mask: LabelVoxels) -> Picture:
    """Pictures are stored as they are looked at; a scan's single slice with its first row at the bottom."""
    colours = volume.voxels if volume.channels == 3 else volume.voxels[:1]
    image = np.stack([_to_grey(channel[..., 0], _edges(channel)) for channel in colours], axis=0)  # (1 or 3, X, Y)
    lay = _transposed if volume.source.format in PICTURES else _upright
    shown = np.moveaxis(lay(image), 0, -1).squeeze()
    width, height, _ = volume.geometry.spacing
    return Picture("", shown, lay(truth[..., 0]), lay(mask[..., 0]), width, height)


def _transposed(plane: Array) -> Array:
    return plane.swapaxes(-1, -2)


def _upright(plane: Array) -> Array:
    """From (..., right, up) to (..., rows downwards, columns)."""
    return plane.swapaxes(-1, -2)[..., ::-1, :]


def _edges(shown: NDArray[np.float32]) -> tuple[float, float]:
    """The values that are black and white where this is shown."""
    low, high = np.percentile(shown, (0.5, 99.5))
    return float(low), float(high)


def _to_grey(voxels: NDArray[np.float32], edges: tuple[float, float]) -> NDArray[np.float32]:
    low, high = edges
    grey: NDArray[np.float32] = np.clip((voxels - low) / max(high - low, 1e-12), 0, 1).astype(np.float32)
    return grey
