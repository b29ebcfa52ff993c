"""What a bundle remembers of its training cases, so that an unusual scan or mask is known as one."""

from __future__ import annotations

from skipseg.models.trust import LabelRange, Range, Ranges
from skipseg.training.fingerprint import Fingerprint, LabelSize, Spread


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
