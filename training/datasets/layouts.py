"""The three ways a dataset lies on disk, each read into the same list of cases.

- MSD / nnU-Net v1: ``dataset.json`` lists pairs of ``imagesTr/`` and ``labelsTr/``
- nnU-Net v2: ``dataset.json`` names channels and the file ending; ``imagesTr/a_0000.nii.gz``, ``labelsTr/a.nii.gz``
- two folders ``images/`` and ``labels/`` with files of the same names (whatever their suffixes)

Layouts look at names alone: no scan is opened here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from os.path import isfile  # unlike Path.is_file it is False for names that cannot exist
from pathlib import Path, PurePosixPath
from typing import Literal

from skipseg.models.errors import DatasetError
from skipseg.models.scans.reader import scan_files, scan_stem
from skipseg.training.datasets import mistakes
from skipseg.training.datasets.defects import Defect
from skipseg.training.datasets.description import Description, Pair, read_description

Layout = Literal["msd", "nnunet", "folders"]

EXPECTED = (
    "expected one of three layouts: MSD (dataset.json with a 'training' list, imagesTr/, labelsTr/), "
    "nnU-Net v2 (dataset.json with 'channel_names' and 'file_ending', imagesTr/case_0000..., labelsTr/case...), "
    "or two folders images/ and labels/ with files of the same names"
)
_CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})")


@dataclass(frozen=True)
class Case:
    """A scan (one file, or one per channel in order) with its truth, if there is one."""

    name: str
    images: tuple[Path, ...]
    label: Path | None


@dataclass(frozen=True)
class Listing:
    """A dataset's cases by name, and what is wrong with the list itself."""

    folder: Path
    layout: Layout
    description: Description
    cases: tuple[Case, ...]
    defects: tuple[Defect, ...]


def list_cases(folder: Path) -> Listing:
    """Find out the layout and list the cases. Raises ``DatasetError`` when the folder is no dataset at all."""
    layout, description = _recognise(folder)
    found = list({"msd": _msd, "nnunet": _nnunet, "folders": _folders}[layout](folder, description))
    cases = sorted((case for case in found if isinstance(case, Case)), key=lambda case: case.name)
    defects = [defect for defect in found if isinstance(defect, Defect)]
    return Listing(folder, layout, description, tuple(cases), (*defects, *_listed_twice(folder, cases)))


def _recognise(folder: Path) -> tuple[Layout, Description]:
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder; {EXPECTED}")
    two_folders = (folder / "images").is_dir() and (folder / "labels").is_dir()
    if (folder / "dataset.json").is_file():
        description = read_description(folder / "dataset.json")
        if description.training is not None:
            return "msd", description
        if description.file_ending is not None or description.dataset is not None:
            return "nnunet", description
        if two_folders:
            return "folders", description
        raise DatasetError(f"dataset.json has neither 'training' nor 'file_ending'; {EXPECTED}")
    if two_folders:
        beside = folder / "labels.json"
        return "folders", read_description(beside) if beside.is_file() else Description()
    raise DatasetError(f"{folder} is not a dataset; {EXPECTED}")


def _msd(folder: Path, description: Description) -> Iterator[Case | Defect]:
    pairs = description.training or []
    mentioned: set[Path] = set()
    for pair in pairs:
        images, label = _msd_images(folder, description, pair), _path(folder, pair.label)
        mentioned |= {*images, *([label] if label else [])}
        yield from _listed(folder, scan_stem(folder / pair.image), images, label)
    yield from _unlisted(folder, mentioned)


def _msd_images(folder: Path, description: Description, pair: Pair) -> tuple[Path, ...]:
    """The file listed, or nnU-Net v1's one file per channel: ``a.nii.gz`` is listed, ``a_0000.nii.gz`` lies there."""
    image = folder / pair.image
    if _outside(pair.image) or isfile(image):
        return (image,)
    stem = scan_stem(image)
    suffix = image.name[len(stem) :]
    parts = tuple(image.with_name(f"{stem}_{number:04d}{suffix}") for number in range(len(description.channels)))
    return parts if parts and isfile(parts[0]) else (image,)


def _nnunet(folder: Path, description: Description) -> Iterator[Case | Defect]:
    if description.dataset is not None:
        for name, group in description.dataset.items():
            yield from _listed(
                folder, name, tuple(folder / image for image in group.images), _path(folder, group.label)
            )
        return
    ending = description.file_ending or ""
    images = [path for path in _files(folder / "imagesTr") if path.name.endswith(ending)]
    labels = {path.name[: -len(ending)]: path for path in _files(folder / "labelsTr") if path.name.endswith(ending)}
    yield from _grouped(folder, {path: path.name[: -len(ending)] for path in images}, labels, len(description.channels))


def _folders(folder: Path, description: Description) -> Iterator[Case | Defect]:
    images, labels = _scans(folder / "images"), _scans(folder / "labels")
    for stem, count in Counter(map(scan_stem, labels)).items():
        if count > 1:
            yield mistakes.case_twice(folder, [path for path in labels if scan_stem(path) == stem])
    yield from _grouped(
        folder, {path: scan_stem(path) for path in images}, {scan_stem(path): path for path in labels}, 0
    )


def _grouped(folder: Path, images: dict[Path, str], labels: dict[str, Path], channels: int) -> Iterator[Case | Defect]:
    """Pair images with labels by name; ``channels`` is how many files each case must have (0: not said)."""
    groups: dict[str, dict[int, Path]] = {}
    for path, stem in images.items():
        case, channel = _split(stem, labels, always=channels > 0)
        if channel in groups.setdefault(case, {}):
            yield mistakes.case_twice(folder, [groups[case][channel], path])
        groups[case][channel] = path
    usual = _files_per_case(groups.values(), channels)
    for case, group in groups.items():
        if sorted(group) != list(range(usual)):
            yield mistakes.channels_missing(folder, case, group, usual)
        else:
            yield from _paired(folder, Case(case, tuple(group[number] for number in range(usual)), labels.get(case)))
    yield from (mistakes.no_image(folder, path) for stem, path in labels.items() if stem not in groups)


def _split(stem: str, labels: Iterable[str], always: bool) -> tuple[str, int]:
    """``case_0001`` is channel 1 of ``case``, when names must have channels or a label called ``case`` says so."""
    match = _CHANNEL.fullmatch(stem)
    if match and (always or (stem not in labels and match["case"] in labels)):
        return match["case"], int(match["channel"])
    return stem, 0


def _files_per_case(groups: Collection[dict[int, Path]], channels: int) -> int:
    """Usually one file per channel; colour pictures have all their channels in file 0000."""
    if all(set(group) == {0} for group in groups):
        return 1
    return channels or max(len(group) for group in groups)


def _listed(folder: Path, name: str, images: tuple[Path, ...], label: Path | None) -> Iterator[Case | Defect]:
    files = (*images, *([label] if label else []))
    outside = [
        path for path in files if _outside(str(path.relative_to(folder)) if path.is_relative_to(folder) else "/")
    ]
    missing = [path for path in files if path not in outside and not isfile(path)]
    yield from (mistakes.path_outside(folder, path) for path in outside)
    yield from (mistakes.missing(folder, path) for path in missing)
    if not outside and not missing:
        yield from _paired(folder, Case(name, images, label))


def _paired(folder: Path, case: Case) -> Iterator[Case | Defect]:
    yield case
    if case.label is None:
        yield mistakes.no_label(folder, case.images[0])


def _unlisted(folder: Path, mentioned: set[Path]) -> Iterator[Defect]:
    images = {scan_stem(path): path for path in _scans(folder / "imagesTr") if path not in mentioned}
    labels = {scan_stem(path): path for path in _scans(folder / "labelsTr") if path not in mentioned}
    for stem, path in images.items():
        yield mistakes.not_listed(folder, path) if stem in labels else mistakes.no_label(folder, path)
    yield from (mistakes.no_image(folder, path) for stem, path in labels.items() if stem not in images)


def _listed_twice(folder: Path, cases: list[Case]) -> Iterator[Defect]:
    for name, count in Counter(case.name for case in cases).items():
        if count > 1:
            yield mistakes.case_twice(folder, [case.images[0] for case in cases if case.name == name])


def _outside(listed: str) -> bool:
    """Whether a path of dataset.json leaves the folder; a dataset someone sent must not read the disk around it."""
    path = PurePosixPath(listed)
    return path.is_absolute() or ".." in path.parts


def _path(folder: Path, listed: str | None) -> Path | None:
    return folder / listed if listed else None


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("[!.]*") if path.is_file())


def _scans(folder: Path) -> list[Path]:
    """Visible files called like scans (macOS leaves ``._name`` beside each file of MSD's archives)."""
    return [path for path in scan_files(folder) if path.parent == folder and not path.name.startswith(".")]
