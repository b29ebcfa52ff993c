"""One case that somebody sends, looked at before it is kept."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from skipseg.models.bundle import sha256
from skipseg.models.errors import DatasetError
from skipseg.models.scans.limits import Limits
from skipseg.models.scans.masks import MASK_FORMATS
from skipseg.models.scans.reader import read_scan
from skipseg.models.scans.volume import Volume, stack
from skipseg.service.datasets.contents import CaseFiles, Contents
from skipseg.service.datasets.headless import read_label, without_header
from skipseg.training.datasets.examine import content
from skipseg.training.datasets.truth import as_classes, distinct, misfit, whole_values


@dataclass(frozen=True)
class Sent:
    """The files of a case on their way in; their names are ours, not their sender's."""

    images: tuple[Path, ...]
    label: Path


@dataclass(frozen=True)
class Looked:
    """A case that may be kept: its files by what they hold, and the suffix each is kept under."""

    sent: Sent
    files: CaseFiles
    suffixes: tuple[str, ...]  # of the images, then of the label


def look_at(sent: Sent, contents: Contents, limits: Limits) -> Looked:
    """Read a case's files and make sure that a network could learn from them; what is kept of DICOM is NIfTI.

    Raises ``ScanError`` as the reader does and for text in the pixels of a DICOM image, and ``DatasetError`` for
    another number of channels, a constant image, a label that does not lie on the image's grid, or values that the
    dataset does not name.
    """
    images, volumes = zip(*(without_header(path, read_scan(path, limits)) for path in sent.images), strict=True)
    image = stack(list(volumes))
    _check_image(image, contents)
    path, label = without_header(sent.label, read_label(sent.label, image, contents.named_labels, limits))
    _check_label(image, label, contents)
    files = CaseFiles(
        images=tuple(map(sha256, images)),
        voxels=tuple(content("", volume).digest for volume in volumes),
        label=sha256(path),
    )
    return Looked(Sent(images, path), files, tuple(map(_suffix, (*volumes, label))))


def _check_image(image: Volume, contents: Contents) -> None:
    wanted = contents.channels
    if image.channels != len(wanted):
        raise DatasetError(
            f"the dataset has {len(wanted)} channels ({', '.join(wanted)}), this image {image.channels}; send one part "
            "'image' a channel, in this order, or one file with all of them"
        )
    for name, channel in zip(wanted, image.voxels, strict=True):
        if channel.min() == channel.max():
            raise DatasetError(f"the channel {name} has one value everywhere; export the image again")


def _check_label(image: Volume, label: Volume, contents: Contents) -> None:
    if problem := misfit(image, label):
        raise DatasetError(f"{problem}; export image and label on one grid")
    known = contents.named_labels.values
    found = distinct(as_classes(whole_values(label), known, contents.foreground == "any"))
    if unknown := sorted(found - set(known)):
        raise DatasetError(f"the label holds the values {unknown[:8]}, the dataset names {list(known)}; mend the label")


def _suffix(volume: Volume) -> str:
    """Files are recognised by what they hold; the suffix is for people and their programs."""
    if volume.source.format == "nifti" and not volume.source.compressed:
        return ".nii"
    return MASK_FORMATS[volume.source.format].suffix if volume.source.format in MASK_FORMATS else ".scan"


def image_names(case: str, suffixes: Sequence[str]) -> list[str]:
    """What the image files of a case are called, one a channel."""
    return [f"{case}_{number:04d}{suffix}" for number, suffix in enumerate(suffixes)]


def copied(path: Path, to: Path) -> None:
    """A hard link where the disk has them, as kept files never change; a copy elsewhere."""
    try:
        to.hardlink_to(path)
    except OSError:
        shutil.copyfile(path, to)
