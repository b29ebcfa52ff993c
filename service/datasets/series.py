"""DICOM inside the zip of a dataset: a series in the place of an image, a SEG in the place of a label.

images/CASE/*.dcm, images/CASE.zip or images/CASE.dcm      become images/CASE.nii.gz; so in imagesTr/, CASE_0000, ...
labels/CASE.dcm                                            becomes labels/CASE.nii.gz, on the grid of its image
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from skipseg.models.errors import DatasetError, ScanError, UsageError
from skipseg.models.labels import Labels
from skipseg.models.scans.dicom.parse import is_dicom
from skipseg.models.scans.dicom.parts import HEAD
from skipseg.models.scans.limits import DEFAULT_LIMITS
from skipseg.models.scans.reader import read_scan
from skipseg.models.scans.streams import starts_with
from skipseg.models.scans.volume import Volume
from skipseg.service.datasets.headless import read_label, write_without_header
from skipseg.training.datasets.defects import Defect
from skipseg.training.datasets.description import read_description

PLACES = (("images", "labels"), ("imagesTr", "labelsTr"))
SUFFIXES = (".zip", ".dcm")
DESCRIPTIONS = ("dataset.json", "labels.json")
MEND = "send one series for each channel, a DICOM SEG for its label, or NIfTI for both"


def converted(root: Path) -> list[Defect]:
    """Put NIfTI files in the place of what is DICOM in an unpacked dataset; gives what could not be."""
    found = list[Defect | None]()
    for images, labels in PLACES:
        found += [_settled(root, path, _image) for path in _dicom(root / images)]
        found += [_settled(root, path, _label_beside(root, images)) for path in _dicom(root / labels)]
    return [defect for defect in found if defect]


def _dicom(folder: Path) -> Iterator[Path]:
    """Folders that DICOM is in, and files that are called like it, sorted."""
    for path in sorted(folder.glob("[!.]*")):
        if _is_series(path) if path.is_dir() else path.name.lower().endswith(SUFFIXES):
            yield path


def _is_series(folder: Path) -> bool:
    return any(is_dicom(starts_with(file, HEAD)) for file in folder.rglob("*") if file.is_file())


def _settled(root: Path, path: Path, convert: Callable[[Path, Path], None]) -> Defect | None:
    """The case's name is its sender's word, and told as those of other files are."""
    stem = path.name[:-4] if path.is_file() else path.name
    to = path.with_name(f"{stem}.nii.gz")
    try:
        if to.exists():
            raise UsageError("there is a NIfTI file of that name as well")
        convert(path, to)
    except (ScanError, UsageError, DatasetError) as error:
        return Defect(code="dicom", file=str(path.relative_to(root)), problem=str(error), mend=MEND)
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    return None


def _image(path: Path, to: Path) -> None:
    _write(read_scan(path, DEFAULT_LIMITS), to)


def _write(volume: Volume, to: Path) -> None:
    if volume.source.format != "dicom":
        raise UsageError("it is called like DICOM, and is none")
    write_without_header(volume, to)


def _label_beside(root: Path, images: str) -> Callable[[Path, Path], None]:
    def convert(path: Path, to: Path) -> None:
        stem = to.name.removesuffix(".nii.gz")
        beside = [root / images / f"{stem}{channel}.nii.gz" for channel in ("", "_0000")]
        image = next((file for file in beside if file.is_file()), None)
        if image is None:
            raise UsageError("a DICOM label needs an image of the same name beside it")
        _write(read_label(path, read_scan(image, DEFAULT_LIMITS), _labels(root), DEFAULT_LIMITS), to)

    return convert


def _labels(root: Path) -> Labels:
    described = [read_description(root / name) for name in DESCRIPTIONS if (root / name).is_file()]
    named = next((labels for one in described if (labels := one.named_labels())), None)
    if named is None:
        raise UsageError("a DICOM SEG needs the dataset's labels to be named, in dataset.json or labels.json")
    return named
