"""Which of the series that were found is meant."""

from __future__ import annotations

from collections.abc import Sequence

from skipseg.models.errors import ScanFormatUnknown, ScanUnusable
from skipseg.models.scans.dicom.choice import SeriesChoice, SeriesRule
from skipseg.models.scans.dicom.found import Contents, Series

MOST_TOLD = 20


def pick(contents: Contents, choice: SeriesChoice) -> Series:
    """The series of one channel: that which is named, else the one that the rule fits, else the only one.

    Localizers are passed over unless there is nothing else. Raises ``ScanUnusable``, which lists the series, when none
    or several would do, and ``ScanFormatUnknown`` when there is no series at all.
    """
    refuse_nothing(contents)
    if choice.named:
        wanted = [series for series in contents.series if series.uid == choice.named[0]]
        return _only(wanted, contents.series, "the series that was asked for is not among these")
    there = [series for series in contents.series if not series.is_localizer] or list(contents.series)
    rule = choice.rules[0] if choice.rules else SeriesRule()
    fitting = that_fit(there, rule)
    said = "" if not rule.says_something else f" that fits the model's channel ({_in_words(rule)})"
    return _only(fitting, there, f"{len(fitting) or 'none'} of these is the series{said}")


def that_fit(there: Sequence[Series], rule: SeriesRule) -> list[Series]:
    """Those of the rule's modality; where they are several, those of them with its description."""
    fitting = [series for series in there if rule.modality in (None, series.modality)]
    if len(fitting) < 2 or rule.description is None:
        return fitting
    return [series for series in fitting if rule.description.casefold() in series.description.casefold()]


def refuse_nothing(contents: Contents) -> None:
    """Raise when there is no series to choose from."""
    if contents.series:
        return
    if contents.unplaced:
        raise ScanUnusable(
            "the DICOM images do not tell where they lie in the patient (Image Position, Image Orientation), so "
            "nothing can be measured in them; send the original series"
        )
    raise ScanFormatUnknown(
        "a folder or zip is read as a DICOM series, and this one holds no DICOM image of a patient; send a scan of "
        "another format itself, not in a zip"
    )


def _only(wanted: Sequence[Series], there: Sequence[Series], problem: str) -> Series:
    if len(wanted) == 1:
        return wanted[0]
    listed = "; ".join(series.told for series in there[:MOST_TOLD])
    more = f" and {len(there) - MOST_TOLD} more" if len(there) > MOST_TOLD else ""
    raise ScanUnusable(f"{problem}: {listed}{more}; name one by its UID (series=UID), or send it alone")


def _in_words(rule: SeriesRule) -> str:
    return ", ".join(
        f"{name} {value!r}"
        for name, value in (("modality", rule.modality), ("description", rule.description))
        if value is not None
    )
