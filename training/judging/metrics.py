"""How well a mask agrees with the truth, label by label: overlap, surfaces, volumes.

MONAI has these too; ours agree with it (tests compare them) and are kept because MONAI's treat a single slice as all
surface, compute the surfaces once per metric, and took 5 to 7 times as long on hippocampi and brain tumours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.ndimage import find_objects

from skipseg.models.labels import Labels
from skipseg.models.trust import Trust
from skipseg.training.datasets.truth import LabelVoxels
from skipseg.training.judging.cells import CellScore
from skipseg.training.judging.surfaces import SurfaceDistances

TOLERANCE_MM = 1.0


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Agreement(_Frozen):
    """The numbers of one label, of a case or averaged. None: not defined, and left out of every mean.

    A label absent from both truth and mask has no numbers; absent from one alone it has Dice 0, IoU 0, surface Dice 0
    and no Hausdorff distance.
    """

    dice: float | None = None
    hd95_mm: float | None = None  # the larger of both directed 95th percentiles of surface distances
    nsd_1mm: float | None = None  # share of both surfaces that lies within 1 mm of the other
    iou: float | None = None  # voxels in both by voxels in either


NUMBERS = tuple(Agreement.model_fields)


class LabelScore(Agreement):
    """The numbers of one label in one case, with its volumes."""

    truth_mm3: float
    mask_mm3: float
    volume_error_mm3: float | None = None  # above 0: the mask is too large; None: the label is in neither
    volume_error_percent: float | None = None  # of the truth; None: the truth has none of it


class CaseScore(_Frozen):
    case: str
    labels: dict[str, LabelScore]
    seconds: float | None = None  # from volume to mask
    trust: Trust | None = None  # told without the truth
    cells: CellScore | None = None  # of 2D data with one label

    @property
    def mean(self) -> Agreement:
        return mean_of(self.labels.values())


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

    Dice (1945); Jaccard (1912); 95th percentile Hausdorff distance; normalised surface Dice (Nikolov et al. 2021), with
    surface voxels for surface elements. Axes of one voxel have no surface of their own, so that a slice is measured as
    a plane.
    """
    voxel = float(np.prod(spacing))
    in_mask, in_truth = int(mask.sum()), int(truth.sum())
    volumes = _volumes(in_mask * voxel, in_truth * voxel)
    if not in_mask and not in_truth:
        return LabelScore(**volumes)
    if not in_mask or not in_truth:
        return LabelScore(dice=0.0, iou=0.0, nsd_1mm=0.0, **volumes)
    surfaces = SurfaceDistances.between(mask, truth, spacing)
    both = int((mask & truth).sum())
    return LabelScore(
        dice=2 * both / (in_mask + in_truth),
        iou=both / (in_mask + in_truth - both),
        hd95_mm=surfaces.percentile(95),
        nsd_1mm=surfaces.share_within(TOLERANCE_MM),
        **volumes,
    )


def mean_of(numbers: Iterable[Agreement]) -> Agreement:
    """The mean of each number over those that have it."""
    known = list(numbers)
    return Agreement(**{name: mean([getattr(one, name) for one in known]) for name in NUMBERS})


def mean(numbers: Iterable[float | None]) -> float | None:
    """Over those that are there."""
    known = [number for number in numbers if number is not None]
    return fmean(known) if known else None


def _volumes(of_mask: float, of_truth: float) -> dict[str, float]:
    known = {"truth_mm3": of_truth, "mask_mm3": of_mask}
    if of_mask or of_truth:
        known["volume_error_mm3"] = of_mask - of_truth
    if of_truth:
        known["volume_error_percent"] = 100 * (of_mask - of_truth) / of_truth
    return known


def _around(boxes: Sequence[tuple[slice, ...]], shape: Sequence[int]) -> tuple[slice, ...]:
    """What holds all boxes and a voxel more where there is one; an axis stays flat only where the scan is."""
    if not boxes:
        return (slice(0, 1),) * len(shape)
    return tuple(
        slice(max(0, min(box[axis].start for box in boxes) - 1), max(box[axis].stop for box in boxes) + 1)
        for axis in range(len(shape))
    )
