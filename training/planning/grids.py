"""The grid a network works on: the scans' own, or a coarser one where patches see too little and labels are thick."""

from __future__ import annotations

from dataclasses import dataclass

from skipseg.training.planning.detail import COARSER, coarser_steps, likely_spacing
from skipseg.training.planning.effort import KEPT_BY_COARSER
from skipseg.training.planning.fingerprint import Fingerprint
from skipseg.training.planning.overrides import Overrides

SHORTEST_HALVED = 16  # voxels
MOSTLY_EMPTY = 0.75  # share of the scan inside its content's box, below which scans are cropped to it


@dataclass(frozen=True)
class Grid:
    """A grid, and a median scan on it."""

    spacing: tuple[float, ...] | None  # mm; None keeps each scan's own
    millimetres: tuple[float, ...]  # lengths of a voxel, relative ones where nobody knows them
    shape: tuple[float, ...]  # voxels of a median scan, its empty border cut away

    def stem(self) -> tuple[int, ...]:
        """Strides that halve the fine axes at once, where that leaves enough to halve again."""
        steps = coarser_steps(self.shape, self.millimetres, 2)
        return tuple(step if side >= SHORTEST_HALVED else 1 for step, side in zip(steps, self.shape, strict=True))

    def coarser(self) -> Grid:
        """Voxels twice as long along the fine axes."""
        steps = self.stem()
        lengths = tuple(round(mm * step, 6) for mm, step in zip(self.millimetres, steps, strict=True))
        shape = tuple(max(side / step, 1.0) for side, step in zip(self.shape, steps, strict=True))
        return Grid(lengths if self.spacing else None, lengths, shape)


def own_grid(fingerprint: Fingerprint, given: Overrides) -> Grid:
    """The median spacing, or the one asked for; pictures, and scans whose headers tell none, keep their own."""
    axes = fingerprint.dimensions
    medians = tuple(round(axis.median, 6) for axis in fingerprint.spacing[:axes])
    sides = tuple(axis.median for axis in fingerprint.shape[:axes])
    share = fingerprint.content.median ** (1 / axes) if cropped(fingerprint, given) else 1.0
    spacing = given.grid_spacing if given.spacing is not None else medians if fingerprint.spacing_given else None
    lengths = spacing or (medians if fingerprint.spacing_given else likely_spacing(sides))
    targets = spacing or medians
    shape = tuple(
        max(side * share * mm / target, 1.0) for side, mm, target in zip(sides, medians, targets, strict=True)
    )
    return Grid(spacing, lengths, shape)


def cropped(fingerprint: Fingerprint, given: Overrides) -> bool:
    """Whether scans are cut to their content."""
    if given.crop_to_content is not None:
        return given.crop_to_content
    return fingerprint.content.median < MOSTLY_EMPTY


def kept_by(fingerprint: Fingerprint, factor: int) -> float:
    """What a grid ``factor`` times coarser keeps of the thinnest label, or of what lies between labels."""
    place = COARSER.index(factor)
    return min(fingerprint.background_kept[place], *(label.kept[place] for label in fingerprint.labels))


def thick_enough(fingerprint: Fingerprint, factor: int) -> bool:
    """Whether labels survive a grid ``factor`` times coarser."""
    return kept_by(fingerprint, factor) >= KEPT_BY_COARSER[fingerprint.dimensions]
