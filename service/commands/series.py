"""From DICOM files of a tree to scans: one for each series, or for each study when a model has several channels."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from os.path import commonpath
from pathlib import Path, PurePath

from skipseg.models.errors import UsageError
from skipseg.models.scans.dicom.choice import SeriesChoice, SeriesRule
from skipseg.models.scans.dicom.found import Contents, Series, contents_of
from skipseg.models.scans.dicom.parse import is_dicom, lacks_preamble
from skipseg.models.scans.dicom.parts import HEAD, parts_of
from skipseg.models.scans.dicom.pick import that_fit
from skipseg.models.scans.limits import DEFAULT_LIMITS
from skipseg.models.scans.reader import is_scan_name

Named = tuple[PurePath, tuple[Path, ...]]  # the name of a scan, and its files


def dicom_among(files: Iterable[Path]) -> list[Path]:
    """Those that are DICOM, by their first bytes, whatever they are called."""
    return [file for file in files if not is_scan_name(file.name) and _starts_as_dicom(file)]


def series_of(files: Sequence[Path], root: Path, channels: int, choice: SeriesChoice) -> list[Named]:
    """The scans that DICOM files of a tree are, with the names of their masks.

    A scan that has a folder to itself is called like it, others ``series-1``, ``series-2`` in it (``study-1``, for a
    model of several channels). Localizers are left out, and so are series that are not the one that ``choice`` names,
    or not of its modality. A file that is damaged belongs to all of its folder: any might miss it.

    Raises ``UsageError`` when there are series, but none that is wanted.
    """
    if not files:
        return []
    with parts_of(files, DEFAULT_LIMITS) as parts:
        contents = contents_of(parts, keep_damaged=True)
    places = [file.relative_to(root) for file in files]
    found = scans_in(contents, places, channels, choice)
    return [(name, tuple(files[number] for number in numbers)) for name, numbers in found]


def scans_in(
    contents: Contents, places: Sequence[PurePath], channels: int, choice: SeriesChoice
) -> list[tuple[PurePath, list[int]]]:
    """The scans among files that lie at ``places``: names, and the numbers of their files.

    Raises ``UsageError`` when there are series, but none that is wanted.
    """
    groups: dict[str, set[int]] = {}
    for series in _wanted(contents, choice):
        key = series.study if channels > 1 else series.uid
        groups.setdefault(key, set()).update(image.part.number for image in series.images)
    for number in [part.number for part in contents.damaged]:
        folder = places[number].parent
        beside = [group for group in groups.values() if any(places[other].parent == folder for other in group)]
        for group in beside or [groups.setdefault(f"damaged in {folder}", set())]:
            group.add(number)
    if contents.series and not groups:
        raise UsageError("none of the DICOM series is one that was asked for, or that the model is for")
    scans = [sorted(group) for group in groups.values()]
    return list(_named(scans, places, "study" if channels > 1 else "series"))


def _wanted(contents: Contents, choice: SeriesChoice) -> Iterator[Series]:
    """In every study: the series that are named, or fit any channel."""
    studies: dict[str, list[Series]] = {}
    for series in contents.series:
        studies.setdefault(series.study, []).append(series)
    for study in studies.values():
        if choice.named:
            yield from (series for series in study if series.uid in choice.named)
            continue
        there = [series for series in study if not series.is_localizer] or study
        fitting = [series for rule in choice.rules or [SeriesRule()] for series in that_fit(there, rule)]
        yield from dict.fromkeys(fitting)


def _named(scans: Sequence[list[int]], places: Sequence[PurePath], word: str) -> Iterator[tuple[PurePath, list[int]]]:
    """Each with its name: its folder, where it has one to itself."""
    folders = [_folder([places[number] for number in scan]) for scan in scans]
    taken, numbers = Counter(folders), defaultdict[PurePath, Iterator[int]](lambda: count(1))
    for scan, folder in zip(scans, folders, strict=True):
        alone = taken[folder] == 1 and folder.parts
        yield folder if alone else folder / f"{word}-{next(numbers[folder])}", scan


def _folder(places: Sequence[PurePath]) -> PurePath:
    """The folder that all lie in, at whatever depth."""
    return PurePath(commonpath([place.parent for place in places]))


def _starts_as_dicom(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            head = opened.read(HEAD)
    except OSError:
        return False
    return is_dicom(head) or lacks_preamble(head)
