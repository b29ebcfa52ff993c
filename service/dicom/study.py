"""A series brought from a PACS to a folder: which one of its study, and whether it is all there."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from secrets import token_hex

from skipseg.models.errors import ScanUnusable
from skipseg.models.scans.dicom.choice import SeriesRule
from skipseg.models.scans.dicom.found import NO_SCANS
from skipseg.models.scans.limits import Limits
from skipseg.service.dicom.nodes import WebNode
from skipseg.service.dicom.web import Listed, WebClient
from skipseg.service.refusals import NodeAway, SeriesUnknown

MOST_TOLD = 20


def bring(
    node: WebNode,
    study: str,
    series: str | None,
    rule: SeriesRule,
    into: Path,
    limits: Limits,
    check: Callable[[], None],
) -> None:
    """Fetch a series into the folder ``into``, which is there when all of it is, and not before.

    Raises ``NodeAway``, ``NodeRefused``, ``SeriesUnknown``, ``ScanUnusable`` for a study that has several series which
    would do, ``ScanTooLarge``, and what ``check`` raises.
    """
    if into.exists():
        return
    draft = into.with_name(f".{token_hex(8)}")
    draft.mkdir(parents=True)
    try:
        with WebClient(node) as client:
            wanted = the_series(client.series_of(study, series), rule)
            count = client.fetch(study, wanted.uid, draft, limits, check)
        if wanted.instances is not None and count < wanted.instances:
            raise NodeAway(f"the node sent {count} of the {wanted.instances} images that it says the series has")
        _put(draft, into)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _put(draft: Path, into: Path) -> None:
    try:
        draft.rename(into)
    except OSError:
        if not into.exists():  # else somebody was quicker
            raise


def the_series(found: Sequence[Listed], rule: SeriesRule) -> Listed:
    """The one that is meant: of several, those of images that fit the model's rule; raises ``ScanUnusable``."""
    if not found:
        raise SeriesUnknown("the node has no such study or series")
    images = [one for one in found if one.modality not in NO_SCANS]
    fitting = [one for one in images if rule.modality in (None, one.modality)]
    if len(fitting) > 1 and rule.description is not None:
        fitting = [one for one in fitting if rule.description.casefold() in one.description.casefold()]
    if len(found) == 1 or len(fitting) == 1:
        return fitting[0] if fitting else found[0]
    told = "; ".join(_told(one) for one in images[:MOST_TOLD]) or "none of images"
    more = f" and {len(images) - MOST_TOLD} more" if len(images) > MOST_TOLD else ""
    raise ScanUnusable(f"{len(fitting) or 'none'} of the study's series would do: {told}{more}; name one as `series`")


def _told(series: Listed) -> str:
    """Its UID and modality, if they look like such, and nothing that was typed by anybody."""
    uid = series.uid if set(series.uid) <= set("0123456789.") and series.uid else "a UID that is none"
    modality = series.modality if series.modality.isalnum() and len(series.modality) <= 16 else "no modality"
    return f"{uid} ({modality})"
