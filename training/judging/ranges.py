"""What a bundle remembers of its training cases, so that an unusual scan or mask is known as one."""

from __future__ import annotations

from collections.abc import Mapping

from skipseg.models.trust import LabelRange, Range, Ranges
from skipseg.training.planning.fingerprint import Fingerprint, LabelSize, Spread


def ranges_of(fingerprint: Fingerprint) -> Ranges:
    """The ranges of the cases that were measured, which must be those trained on."""
    x, y, z = (_ends(axis) for axis in fingerprint.spacing)
    given = fingerprint.spacing_given
    return Ranges(
        orientation=fingerprint.orientation if given else None,
        spacing=(x, y, z) if given else None,
        labels={
            label.name: _of_label(label, fingerprint.cases, given)
            for label in fingerprint.labels
            if label.volume_mm3 is not None
        },
    )


def widened(ranges: Ranges, more: Ranges | None, names: Mapping[str, str]) -> Ranges:
    """Ranges that hold those of ``more`` too, which calls a label otherwise: ``names`` maps its names to ours."""
    if more is None:
        return ranges
    spacing = ranges.spacing
    if spacing is not None and more.spacing is not None and ranges.orientation == more.orientation:
        x, y, z = (_around(one, other) for one, other in zip(spacing, more.spacing, strict=True))
        spacing = x, y, z
    labels = dict(ranges.labels)
    for name, label in more.labels.items():
        if name in names:
            ours = names[name]
            labels[ours] = _both(labels[ours], label) if ours in labels else label
    return Ranges(orientation=ranges.orientation, spacing=spacing, labels=labels)


def _both(one: LabelRange, other: LabelRange) -> LabelRange:
    volumes = (one.volume_mm3, other.volume_mm3)
    return LabelRange(
        volume_mm3=None if volumes[0] is None or volumes[1] is None else _around(volumes[0], volumes[1]),
        share=_around(one.share, other.share),
        pieces=max(one.pieces, other.pieces),
        always=one.always and other.always,
    )


def _around(one: Range, other: Range) -> Range:
    return min(one[0], other[0]), max(one[1], other[1])


def _of_label(label: LabelSize, cases: int, given: bool) -> LabelRange:
    assert label.volume_mm3 is not None
    assert label.share_of_case is not None
    return LabelRange(
        volume_mm3=_ends(label.volume_mm3) if given else None,
        share=_ends(label.share_of_case),
        pieces=label.pieces,
        always=label.cases == cases,
    )


def _ends(spread: Spread) -> Range:
    return spread.minimum, spread.maximum
