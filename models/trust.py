"""How far a mask may be trusted, told without its truth.

The score is the product of four shares, each 1 where nothing is unusual:

- certainty: 1 less the mean entropy of the network's probabilities in what it found and its rim (``certainty.py``);
- pieces: the share of a label that lies in as many of its largest pieces as the training truth ever had;
- size: how near a label's volume is to the range of the training truth, as a ratio;
- spacing: how near the voxel spacing is to the range trained on, as a ratio.

Pieces and size are those of the worst label. Nothing in it is fitted: the ranges come from the training cases, the
rest is definition. It ranks masks for a person to look at; it is no estimate of Dice.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.ndimage import find_objects
from scipy.ndimage import label as components

from skipseg.models.labels import Label
from skipseg.models.scans.maker import Trust as Trust
from skipseg.models.scans.volume import Mask

Range = tuple[float, float]

UNSURE = 0.3  # mean entropy above which a flag is raised; a judgement
SPACING_SLACK = 1.05  # headers round, and scanners differ by as much
SCRAP = 0.95  # of a label's voxels in its usual pieces: below, a flag is raised
ALL_NEIGHBOURS = np.ones((3, 3, 3), bool)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LabelRange(_Frozen):
    """What the training truth held of one label, over the cases that have it."""

    volume_mm3: Range | None  # None: the scans are pictures without millimetres
    share: Range  # of all voxels of the scan
    pieces: int  # the most connected ones (faces, edges or corners) in one case
    always: bool  # in every case


class Ranges(_Frozen):
    """What a model was trained on, as far as it can be told of a scan and its mask."""

    orientation: str | None  # of the axes of ``spacing``; None: as stored
    spacing: tuple[Range, Range, Range] | None  # mm; None: pictures
    labels: dict[str, LabelRange]


def trust_in(mask: Mask, entropy: float | None, ranges: Ranges | None) -> Trust:
    """Judge a mask; without ``ranges`` (a bundle of an older version) by its entropy alone.

    ``entropy`` is that of ``certainty.entropy_of``, None where nothing was found, which the size share then judges.
    """
    certainty = 1.0 - (entropy or 0.0)
    flags = [f"the network is unsure: entropy {entropy:.2f} of 1"] if entropy is not None and entropy > UNSURE else []
    if not mask.voxels.any():
        flags.append("nothing was found")
    if ranges is None:
        return Trust(score=certainty, certainty=certainty, entropy=entropy, flags=tuple(flags))
    spacing, more = _spacing(mask, ranges)
    pieces, size = 1.0, 1.0
    flags += more
    boxes = dict(enumerate(find_objects(mask.voxels), start=1))
    for label in mask.labels.foreground:
        if known := ranges.labels.get(label.name):
            inside = mask.voxels[box] == label.value if (box := boxes.get(label.value)) else None
            of_pieces, more_pieces = _pieces(inside, known, label)
            of_size, more_size = _size(inside, known, label, mask)
            pieces, size = min(pieces, of_pieces), min(size, of_size)
            flags += more_pieces + more_size
    return Trust(
        score=certainty * pieces * size * spacing,
        certainty=certainty,
        pieces=pieces,
        size=size,
        spacing=spacing,
        entropy=entropy,
        flags=tuple(flags),
    )


def count_pieces(inside: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Voxels of each connected piece of (X, Y, Z), largest first; voxels that share a corner are connected."""
    pieces, _ = components(inside, ALL_NEIGHBOURS)
    return np.sort(np.bincount(pieces.ravel())[1:])[::-1]


def _pieces(inside: NDArray[np.bool_] | None, known: LabelRange, label: Label) -> tuple[float, list[str]]:
    if inside is None:
        return 1.0, []
    sizes = count_pieces(inside)
    usual = float(sizes[: known.pieces].sum() / sizes.sum())
    if usual >= SCRAP:
        return usual, []
    most = "1 piece" if known.pieces == 1 else f"{known.pieces} pieces"
    return usual, [f"{label.name} lies in {len(sizes)} pieces; in training it had at most {most}"]


def _size(inside: NDArray[np.bool_] | None, known: LabelRange, label: Label, mask: Mask) -> tuple[float, list[str]]:
    if inside is None:
        missing = [f"{label.name} was not found; every training case had it"] if known.always else []
        return float(not known.always), missing
    count = int(inside.sum())
    if known.volume_mm3 is not None and mask.source.has_millimetres:
        size, within, unit = count * mask.geometry.voxel_volume, known.volume_mm3, " mm3"
    else:
        size, within, unit = (
            100 * count / mask.voxels.size,
            (100 * known.share[0], 100 * known.share[1]),
            " % of the scan",
        )
    near = _nearness(size, within)
    low, high = within
    said = f"{label.name} has {size:.3g}{unit}; in training it had {low:.3g} to {high:.3g}"
    return near, [said] if near < 1 else []


def _spacing(mask: Mask, ranges: Ranges) -> tuple[float, list[str]]:
    if ranges.spacing is None or not mask.source.has_millimetres:
        return 1.0, []
    geometry = mask.geometry
    if ranges.orientation is not None:
        geometry = geometry.turned(geometry.turn_to(ranges.orientation))
    near = [
        _nearness(mm, (low / SPACING_SLACK, high * SPACING_SLACK))
        for mm, (low, high) in _axes(geometry.spacing, ranges.spacing)
    ]
    if min(near) == 1:
        return 1.0, []
    text = " x ".join(f"{mm:.3g}" for mm in geometry.spacing)
    seen = " x ".join(f"{low:.3g}" if low == high else f"{low:.3g}..{high:.3g}" for low, high in ranges.spacing)
    return min(near), [f"a spacing of {text} mm was never trained on ({seen} mm was)"]


def _axes(spacing: Sequence[float], ranges: Sequence[Range]) -> list[tuple[float, Range]]:
    return list(zip(spacing, ranges, strict=True))


def _nearness(value: float, within: Range) -> float:
    """1 within the range, else the ratio to its nearer end."""
    low, high = within
    if value < low:
        return value / low
    return high / value if value > high else 1.0
