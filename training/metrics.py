"""How well a mask agrees with the truth: Dice, Hausdorff distance, surface Dice.

MONAI has these too; ours agree with it (tests compare them) and are kept because MONAI's treat a single slice as all
surface, compute the surfaces once per metric, and took 5 to 7 times as long on hippocampi and brain tumours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.ndimage import binary_erosion, find_objects
from scipy.spatial import KDTree

from skipseg.models.labels import Labels
from skipseg.training.truth import LabelVoxels

TOLERANCE_MM = 1.0
_ROUNDING_MM = 1e-4  # affines are stored as float32: a neighbour at 1 mm may come out as 1.0000001


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Agreement(_Frozen):
    """The numbers of one label, of a case or averaged. None: not defined, and left out of every mean.

    A label absent from both truth and mask has no numbers; absent from one alone it has Dice 0, surface Dice 0 and no
    Hausdorff distance.
    """

    dice: float | None = None
    hd95_mm: float | None = None  # the larger of both directed 95th percentiles of surface distances
    nsd_1mm: float | None = None  # share of both surfaces that lies within 1 mm of the other


class LabelScore(Agreement):
    """The numbers of one label in one case, with its volumes."""

    truth_mm3: float
    mask_mm3: float


class CaseScore(_Frozen):
    case: str
    labels: dict[str, LabelScore]
    seconds: float | None = None  # from volume to mask

    @property
    def mean(self) -> Agreement:
        return mean_of(self.labels.values())


class Failure(_Frozen):
    """A case that got no score, and why."""

    case: str
    error: str


class Metrics(_Frozen):
    """``metrics.json``. A label's numbers are means over cases, ``mean`` is the mean over labels."""

    bundle: str
    dataset: str
    mean: Agreement
    labels: dict[str, Agreement]
    cases: tuple[CaseScore, ...]
    failed: tuple[Failure, ...] = ()


def summarise(
    bundle: str, dataset: str, labels: Labels, cases: Sequence[CaseScore], failed: Sequence[Failure] = ()
) -> Metrics:
    """Means over cases per label, and over labels."""
    per_label = {label.name: mean_of(case.labels[label.name] for case in cases) for label in labels.foreground}
    return Metrics(
        bundle=bundle,
        dataset=dataset,
        mean=mean_of(per_label.values()),
        labels=per_label,
        cases=tuple(cases),
        failed=tuple(failed),
    )


def score_labels(
    mask: LabelVoxels, truth: LabelVoxels, labels: Labels, spacing: Sequence[float]
) -> dict[str, LabelScore]:
    """Every foreground label of one case; ``mask`` and ``truth`` (X, Y, Z) hold label values, spacing is in mm.

    Each label is cut out first, so that a hundred labels of a whole body do not mean a hundred whole bodies.
    """
    boxes = [dict(enumerate(find_objects(side), start=1)) for side in (mask, truth)]
    scores = {}
    for label in labels.foreground:
        around = _around([box for of_side in boxes if (box := of_side.get(label.value))], truth.shape)
        scores[label.name] = score(mask[around] == label.value, truth[around] == label.value, spacing)
    return scores


def score(mask: NDArray[np.bool_], truth: NDArray[np.bool_], spacing: Sequence[float]) -> LabelScore:
    """One label of one case: where the mask says it is, and where it is.

    Dice (1945); 95th percentile Hausdorff distance; normalised surface Dice (Nikolov et al. 2021), with surface voxels
    for surface elements. Axes of one voxel have no surface of their own, so that a slice is measured as a plane.
    """
    voxel = float(np.prod(spacing))
    in_mask, in_truth = int(mask.sum()), int(truth.sum())
    volumes = {"truth_mm3": in_truth * voxel, "mask_mm3": in_mask * voxel}
    if not in_mask and not in_truth:
        return LabelScore(**volumes)
    if not in_mask or not in_truth:
        return LabelScore(dice=0.0, nsd_1mm=0.0, **volumes)
    surfaces = _surface_distances(mask, truth, spacing)
    dice = 2 * int((mask & truth).sum()) / (in_mask + in_truth)
    return LabelScore(
        dice=dice, hd95_mm=surfaces.percentile(95), nsd_1mm=surfaces.share_within(TOLERANCE_MM), **volumes
    )


def mean_of(numbers: Iterable[Agreement]) -> Agreement:
    """The mean of each number over those that have it."""
    known = list(numbers)
    return Agreement(
        dice=_mean(one.dice for one in known),
        hd95_mm=_mean(one.hd95_mm for one in known),
        nsd_1mm=_mean(one.nsd_1mm for one in known),
    )


@dataclass(frozen=True)
class _SurfaceDistances:
    """From every surface voxel of one side to the nearest of the other, in mm."""

    of_mask: NDArray[np.float64]
    of_truth: NDArray[np.float64]

    def percentile(self, percent: float) -> float:
        return float(max(np.percentile(self.of_mask, percent), np.percentile(self.of_truth, percent)))

    def share_within(self, mm: float) -> float:
        both = np.concatenate([self.of_mask, self.of_truth])
        return float((both <= mm + _ROUNDING_MM).mean())


def _around(boxes: Sequence[tuple[slice, ...]], shape: Sequence[int]) -> tuple[slice, ...]:
    """What holds all boxes and a voxel more where there is one; an axis stays flat only where the scan is."""
    if not boxes:
        return (slice(0, 1),) * len(shape)
    return tuple(
        slice(max(0, min(box[axis].start for box in boxes) - 1), max(box[axis].stop for box in boxes) + 1)
        for axis in range(len(shape))
    )


def _surface_distances(
    mask: NDArray[np.bool_], truth: NDArray[np.bool_], spacing: Sequence[float]
) -> _SurfaceDistances:
    """Nearest neighbours among surface voxels: memory grows with the surface, not with the box around both."""
    box = find_objects((mask | truth).astype(np.uint8))[0]
    of_mask, of_truth = (_surface(side[box], side.shape) * spacing for side in (mask, truth))
    return _SurfaceDistances(KDTree(of_truth).query(of_mask)[0], KDTree(of_mask).query(of_truth)[0])


def _surface(inside: NDArray[np.bool_], shape: Sequence[int]) -> NDArray[np.intp]:
    """Indices (n, 3) of voxels with a face neighbour outside; the scan's border counts as outside."""
    flat = tuple(axis for axis, size in enumerate(shape) if size == 1)[-2:]  # one axis stays, even of a single voxel
    plane = inside.squeeze(flat)
    edge = np.expand_dims(plane & ~binary_erosion(plane), flat)
    return np.argwhere(edge)


def _mean(numbers: Iterable[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return fmean(known) if known else None
