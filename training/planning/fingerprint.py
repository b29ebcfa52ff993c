"""What was measured on a dataset: all a planner needs to know of it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import sqrt
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.ndimage import find_objects

from skipseg.models.errors import DatasetError
from skipseg.models.scans.content import Box, box_of, content
from skipseg.models.scans.geometry import Geometry
from skipseg.models.trust import count_pieces
from skipseg.training.datasets.dataset import Case, Dataset, read_case
from skipseg.training.datasets.truth import PICTURES, LabelVoxels, counted
from skipseg.training.planning.detail import Counts, coarsened, kept, likely_spacing

INNER = (0.5, 99.5)  # percentiles of a scan that few outliers do not reach
RANKED = 2**18  # values of a scan that percentiles are taken of
SAMPLES = 20_000  # foreground voxels taken of each case for the intensity statistics


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Spread(_Frozen):
    """A number's range over the cases."""

    minimum: float
    median: float
    maximum: float


NO_OUTLIERS = Spread(minimum=1.0, median=1.0, maximum=1.0)


class ChannelIntensities(_Frozen):
    """One channel's values inside the labels, every case weighing the same."""

    name: str
    is_ct: bool  # by the channel's name: Hounsfield units mean the same in every scan
    percentile_00_5: float
    median: float
    percentile_99_5: float
    mean: float
    std: float
    case_mean: Spread  # far apart when scanners scale their values differently
    case_std: Spread
    outliers: Spread = NO_OUTLIERS  # a scan's deviation, times that without the outermost percent of its values


class LabelSize(_Frozen):
    """How often and how large one label is; volumes over the cases that have it."""

    value: int
    name: str
    cases: int
    share: float  # of all voxels of the dataset
    volume_mm3: Spread | None  # None when no case has it
    share_of_case: Spread | None = None  # of the voxels of a case that has it
    pieces: int = 1  # connected ones, most in one case
    kept: tuple[float, ...] = (1.0, 1.0)  # Dice of what grids ``detail.COARSER`` times coarser keep of it


class Fingerprint(_Frozen):
    """A dataset's measures. Shapes and spacings are per axis, after turning every scan to ``orientation``."""

    dataset: str
    cases: int
    dimensions: Literal[2, 3]  # 2 when every scan is a single slice
    orientation: str  # the one most scans have
    orientations: int  # how many different ones there are
    shape: tuple[Spread, Spread, Spread]  # voxels
    spacing: tuple[Spread, Spread, Spread]  # mm
    spacing_given: bool  # False for pictures, and for scans of few slices whose headers all say 1 mm
    anisotropy: float  # coarsest by finest of the median spacing, within the plane for single slices
    content: Spread  # share of the scan inside the box around all that is not background
    channels: tuple[ChannelIntensities, ...]
    labels: tuple[LabelSize, ...]  # without the background
    background_kept: tuple[float, ...] = (1.0, 1.0)  # as ``LabelSize.kept``: what lies between labels may be thin, too


def measure(dataset: Dataset, progress: Callable[[int, int], None] | None = None) -> Fingerprint:
    """Read every labelled case once and measure it; ``progress(done, total)`` is called after each.

    Raises ``DatasetError`` naming the first case that cannot be read.
    """
    labelled = [case for case in dataset.cases if case.label]
    measured = []
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        for done, one in enumerate(pool.map(partial(_measure_case, dataset), labelled), start=1):
            measured.append(one)
            if progress:
                progress(done, len(labelled))
    return _summary(dataset, measured)


@dataclass(frozen=True)
class _Measured:
    geometry: Geometry
    spacing_given: bool
    content: float
    inside: NDArray[np.float32]  # (channels, up to SAMPLES) of the foreground
    counts: NDArray[np.int64]  # voxels per label, background first
    coarsened: Counts  # what coarser grids keep of each label
    outliers: tuple[float, ...]  # per channel
    pieces: dict[int, int]  # connected ones per label value found


def _measure_case(dataset: Dataset, case: Case) -> _Measured:
    image, truth = read_case(dataset, case)
    counts = counted(truth, max(dataset.labels.values) + 1)
    where = content(image.voxels)
    return _Measured(
        geometry=image.geometry,
        spacing_given=image.source.format not in PICTURES or set(image.geometry.spacing) != {1.0},
        content=_share(box_of(where), where.shape),
        inside=_inside(image.voxels, truth > 0),
        counts=counts[list(dataset.labels.values)],
        coarsened=coarsened(truth, _lengths(image.geometry), dataset.labels.values),
        outliers=tuple(_outliers(channel[where]) for channel in image.voxels),
        pieces=_pieces(truth),
    )


def _pieces(truth: LabelVoxels) -> dict[int, int]:
    boxes = enumerate(find_objects(truth), start=1)
    return {value: len(count_pieces(truth[box] == value)) for value, box in boxes if box is not None}


def _inside(voxels: NDArray[np.float32], where: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Evenly strided foreground voxels: the same ones every time, and as many of a large scan as of a small one."""
    places = np.flatnonzero(where)
    places = places[:: max(1, len(places) // SAMPLES)][:SAMPLES]
    return voxels.reshape(len(voxels), -1)[:, places]


def _share(box: Box, shape: Sequence[int]) -> float:
    return float(np.prod([(side.stop - side.start) / n for side, n in zip(box, shape, strict=True)]))


def _lengths(geometry: Geometry) -> tuple[float, ...]:
    """Voxel lengths, likely ones where the header says 1 mm, which may mean nothing."""
    return likely_spacing(geometry.shape) if set(geometry.spacing) == {1.0} else geometry.spacing


def _outliers(values: NDArray[np.float32]) -> float:
    """The deviation of a channel's content, times that of the same values clipped to their inner 99 percent."""
    if not len(values):
        return 1.0
    low, high = np.percentile(values[:: max(len(values) // RANKED, 1)], INNER)
    inner = _deviation(values, float(low), float(high))
    return _deviation(values) / inner if inner > 0 else 1.0


def _deviation(values: NDArray[np.float32], low: float = -np.inf, high: float = np.inf) -> float:
    """Of values (n,) clipped to a range, a few at a time: in double precision a large scan takes gigabytes."""
    parts = [values[start : start + RANKED] for start in range(0, len(values), RANKED)]
    mean = sum(float(part.clip(low, high).sum(dtype=np.float64)) for part in parts) / len(values)
    squares = sum(float(np.square(part.clip(low, high).astype(np.float64) - mean).sum()) for part in parts)
    return sqrt(squares / len(values))


def _summary(dataset: Dataset, measured: Sequence[_Measured]) -> Fingerprint:
    orientations = Counter(one.geometry.orientation for one in measured)
    orientation = orientations.most_common(1)[0][0]
    turned = [one.geometry.turned(one.geometry.turn_to(orientation)) for one in measured]
    dimensions: Literal[2, 3] = 2 if all(one.geometry.shape[2] == 1 for one in measured) else 3
    spacing = _per_axis([geometry.spacing for geometry in turned])
    medians = [axis.median for axis in spacing][:dimensions]
    return Fingerprint(
        dataset=dataset.name,
        cases=len(measured),
        dimensions=dimensions,
        orientation=orientation,
        orientations=len(orientations),
        shape=_per_axis([geometry.shape for geometry in turned]),
        spacing=spacing,
        spacing_given=any(one.spacing_given for one in measured) and not _unset(turned, dimensions),
        anisotropy=max(medians) / min(medians),
        content=_spread([one.content for one in measured]),
        channels=_channels(dataset, measured),
        labels=_labels(dataset, measured),
        background_kept=tuple(kept(_together(measured))[0].tolist()),
    )


def _unset(geometries: Sequence[Geometry], dimensions: int) -> bool:
    """Whether the headers do not tell the voxels' lengths: 1 mm everywhere, and slices too few to be that thin."""
    median = np.median([geometry.shape for geometry in geometries], axis=0)
    all_one = all(set(geometry.spacing) == {1.0} for geometry in geometries)
    return dimensions == 3 and all_one and max(likely_spacing(median.tolist())) > 1


def _together(measured: Sequence[_Measured]) -> Counts:
    """What coarser grids keep in all cases together, so that large ones count as much as they hold."""
    total: Counts = np.sum([one.coarsened for one in measured], axis=0)
    return total


def _channels(dataset: Dataset, measured: Sequence[_Measured]) -> tuple[ChannelIntensities, ...]:
    inside = [one.inside for one in measured if one.inside.size]
    if not inside:
        raise DatasetError("every label is empty; training needs labels that mark something")
    pooled = np.concatenate(inside, axis=1).astype(np.float64)
    return tuple(
        ChannelIntensities(
            name=name,
            is_ct=name.strip().upper() == "CT",
            percentile_00_5=float(np.percentile(values, 0.5)),
            median=float(np.median(values)),
            percentile_99_5=float(np.percentile(values, 99.5)),
            mean=float(values.mean()),
            std=float(values.std()),
            case_mean=_spread([float(one[number].mean(dtype=np.float64)) for one in inside]),
            case_std=_spread([float(one[number].std(dtype=np.float64)) for one in inside]),
            outliers=_spread([one.outliers[number] for one in measured]),
        )
        for number, (name, values) in enumerate(zip(dataset.channels, pooled, strict=True))
    )


def _labels(dataset: Dataset, measured: Sequence[_Measured]) -> tuple[LabelSize, ...]:
    counts = np.stack([one.counts for one in measured])  # (cases, labels)
    volumes = counts * np.array([[one.geometry.voxel_volume] for one in measured])
    shares = counts / counts.sum(axis=1, keepdims=True)
    left = kept(_together(measured))
    return tuple(
        LabelSize(
            value=label.value,
            name=label.name,
            cases=int((counts[:, row] > 0).sum()),
            share=float(counts[:, row].sum() / counts.sum()),
            volume_mm3=_spread(volumes[counts[:, row] > 0, row]) if counts[:, row].any() else None,
            share_of_case=_spread(shares[counts[:, row] > 0, row]) if counts[:, row].any() else None,
            kept=tuple(left[row].tolist()),
            pieces=max([1, *(one.pieces.get(label.value, 0) for one in measured)]),
        )
        for row, label in enumerate(dataset.labels.all)
        if label.value != 0
    )


def _spread(numbers: Sequence[float] | NDArray[np.float64]) -> Spread:
    return Spread(minimum=float(np.min(numbers)), median=float(np.median(numbers)), maximum=float(np.max(numbers)))


def _per_axis(rows: Sequence[Sequence[float]]) -> tuple[Spread, Spread, Spread]:
    x, y, z = (_spread([float(row[axis]) for row in rows]) for axis in range(3))
    return x, y, z
