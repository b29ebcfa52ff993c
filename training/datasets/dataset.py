"""A dataset: cases, channels and labels, whatever layout they lie in on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from skipseg.models.errors import DatasetError, SkipsegError
from skipseg.models.labels import Labels
from skipseg.models.scans.limits import DEFAULT_LIMITS
from skipseg.models.scans.reader import read_channels, read_scan
from skipseg.models.scans.volume import Volume
from skipseg.training.datasets.defects import STRAYS, errors
from skipseg.training.datasets.layouts import Case, Layout, Listing, list_cases
from skipseg.training.datasets.truth import (
    INSTANCES_MEND,
    LabelVoxels,
    as_classes,
    classes_found,
    distinct,
    look_like_instances,
    misfit,
    whole_values,
)

__all__ = [
    "Case",
    "Dataset",
    "checksum",
    "image_checksum",
    "named_cases",
    "open_dataset",
    "read_case",
    "read_image",
    "read_truth",
]


@dataclass(frozen=True)
class Dataset:
    """Cases in the order of their names; a case without a label can be segmented, not trained on."""

    folder: Path
    name: str
    layout: Layout
    channels: tuple[str, ...]
    labels: Labels
    cases: tuple[Case, ...]
    any_foreground: bool = field(default=False)  # label files hold instance ids; every value above 0 is label 1
    groups: Mapping[str, str] = field(default_factory=dict, hash=False)  # by case: those of one group stay together


def open_dataset(folder: Path) -> Dataset:
    """Open a dataset in one of the three layouts of ``layouts.py``.

    Reads names and, where no JSON tells channels or labels, the files themselves. Raises ``DatasetError`` when the
    list of cases cannot be trusted or labels cannot be told; ``check_dataset`` finds everything that is wrong.
    """
    folder = Path(folder)
    listing = list_cases(folder)
    _refuse_broken(listing)
    description = listing.description
    return Dataset(
        folder=folder,
        name=description.name or folder.resolve().name,
        layout=listing.layout,
        channels=description.channel_names or _channels_found(listing),
        labels=description.named_labels() or _labels_found(listing),
        cases=listing.cases,
        any_foreground=description.foreground == "any",
        groups=_groups(listing),
    )


def read_case(dataset: Dataset, case: Case) -> tuple[Volume, LabelVoxels]:
    """The scan (channels, X, Y, Z) and the truth (X, Y, Z) as values of ``dataset.labels``, uint8 or uint16.

    Raises ``DatasetError`` naming the case when a file cannot be read, channels are missing, the label does not lie on
    the image's grid (a tenth of a voxel is tolerated) or holds values the dataset does not name.
    """
    try:
        image = read_image(dataset, case)
        return image, read_truth(dataset, case, image)
    except SkipsegError as error:
        raise DatasetError(f"case {case.name}: {error}") from error


def read_image(dataset: Dataset, case: Case) -> Volume:
    """The scan of a case. Raises ``ScanError`` as the reader does, ``DatasetError`` for a wrong number of channels."""
    image = read_channels(case.images, DEFAULT_LIMITS)
    if image.channels != len(dataset.channels):
        names = ", ".join(dataset.channels)
        raise DatasetError(f"the dataset has {len(dataset.channels)} channels ({names}), this image {image.channels}")
    return image


def read_truth(dataset: Dataset, case: Case, image: Volume) -> LabelVoxels:
    """The truth of a case on the grid of ``image``; raises as ``read_case`` does, without the case's name."""
    if case.label is None:
        raise DatasetError("there is no label; add one, or leave the case out")
    label = read_scan(case.label, DEFAULT_LIMITS)
    if problem := misfit(image, label):
        raise DatasetError(f"{problem}; export image and label on one grid")
    truth = as_classes(whole_values(label), dataset.labels.values, dataset.any_foreground)
    if unknown := sorted(distinct(truth) - set(dataset.labels.values)):
        raise DatasetError(f"the label holds the values {unknown[:8]}, the dataset names {list(dataset.labels.values)}")
    return truth


def named_cases(dataset: Dataset, names: Iterable[str]) -> tuple[Case, ...]:
    """The cases of these names, in the dataset's order; empty names are skipped.

    Raises ``DatasetError`` when a name is unknown.
    """
    wanted = {name.strip() for name in names} - {""}
    known = {case.name for case in dataset.cases}
    if unknown := sorted(wanted - known):
        raise DatasetError(f"the dataset has no case {', '.join(unknown[:5])}; its first case is {min(known)}")
    return tuple(case for case in dataset.cases if case.name in wanted)


def checksum(dataset: Dataset) -> str:
    """SHA-256 over the cases' names and their files' bytes: equal for equal data, wherever it lies."""
    total = hashlib.sha256()
    for case in dataset.cases:
        files = (*case.images, *([case.label] if case.label else []))
        for role, path in enumerate(files):
            total.update(f"{case.name}\0{role}\0{len(case.images)}\0".encode())
            with path.open("rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def image_checksum(case: Case) -> str:
    """SHA-256 over a case's image files: what it is known by under any name, its label mended or not."""
    total = hashlib.sha256()
    for path in case.images:
        about = path.stat()
        total.update(_digest(path, about.st_size, about.st_mtime_ns))
    return total.hexdigest()


@lru_cache(maxsize=100_000)
def _digest(path: Path, size: int, changed: int) -> bytes:
    """SHA-256 of a file, which is asked for many times a run; one that has changed is read again."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _refuse_broken(listing: Listing) -> None:
    broken = [defect for defect in errors(listing.defects) if defect.code not in STRAYS]
    if broken:
        more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
        raise DatasetError(f"{broken[0]}{more}; `skipseg dataset check` lists every defect")
    if not any(case.label for case in listing.cases):
        raise DatasetError("the dataset has no image with a label; `skipseg dataset check` lists every defect")


def _groups(listing: Listing) -> dict[str, str]:
    groups = listing.description.groups
    if unknown := sorted(groups.keys() - {case.name for case in listing.cases}):
        raise DatasetError(f"groups: the dataset has no case {', '.join(unknown[:5])}; name cases as their files are")
    return groups


def _channels_found(listing: Listing) -> tuple[str, ...]:
    """Names for the channels of the first case: red, green, blue for colour pictures."""
    first = listing.cases[0]
    try:
        image = read_channels(first.images, DEFAULT_LIMITS)
    except SkipsegError as error:
        raise DatasetError(f"case {first.name}: {error}") from error
    if image.channels == 3 and len(first.images) == 1 and image.source.format in ("png", "tiff"):
        return ("red", "green", "blue")
    return tuple(f"channel {number}" for number in range(image.channels)) if image.channels > 1 else ("image",)


def _labels_found(listing: Listing) -> Labels:
    """Labels made of the values in the label files, for datasets that name none."""
    found = [_values_of(case) for case in listing.cases if case.label]
    if look_like_instances(found):
        raise DatasetError(f"the label files seem to number objects, not to name classes; {INSTANCES_MEND}")
    return _labels_of(found)


def _labels_of(values_per_file: Sequence[frozenset[int]]) -> Labels:
    """Labels called ``label 1`` and so on; a set whose files are all 0/255 has the one label 1."""
    values = classes_found(values_per_file)
    if not values - {0}:
        raise DatasetError("every label image is empty; training needs at least one label value above 0")
    return Labels.from_names({value: f"label {value}" for value in values if value})


def _values_of(case: Case) -> frozenset[int]:
    assert case.label is not None
    try:
        return distinct(whole_values(read_scan(case.label, DEFAULT_LIMITS)))
    except SkipsegError as error:
        raise DatasetError(f"case {case.name}: {error}") from error
