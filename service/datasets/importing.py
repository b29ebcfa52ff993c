"""A zip of a dataset, in any layout that is read, as a dataset that is kept."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from skipseg.models.bundle import sha256
from skipseg.models.durable import settle
from skipseg.models.errors import DatasetError
from skipseg.models.scans.archives import Archive, ArchiveLimits
from skipseg.models.scans.reader import scan_stem
from skipseg.service.datasets.contents import CASE_NAME, CASE_RULE, CaseFiles, Contents, described, entry
from skipseg.service.datasets.examining import image_names
from skipseg.service.datasets.series import converted
from skipseg.training.datasets.check import errors, examine_dataset
from skipseg.training.datasets.dataset import Dataset, open_dataset
from skipseg.training.datasets.defects import Defect
from skipseg.training.datasets.description import Group
from skipseg.training.datasets.examine import Examined
from skipseg.training.datasets.layouts import Case, list_cases

SHOWN = 20


class DatasetDefects(DatasetError):
    """What is wrong with a dataset that was sent, all of it."""

    code = "dataset_defects"

    def __init__(self, defects: Sequence[Defect]) -> None:
        told = "; ".join(map(str, defects[:SHOWN]))
        more = f"; and {len(defects) - SHOWN} more" if len(defects) > SHOWN else ""
        super().__init__(f"the dataset has {len(defects)} defects that must be mended before it is sent: {told}{more}")
        self.defects = tuple(defects)

    def extension(self) -> dict[str, object]:
        """Members of the problem document beyond those that all have."""
        return {"defects": [defect.model_dump() for defect in self.defects]}


def import_zip(name: str, archive: Path, draft: Path, limits: ArchiveLimits, who: str) -> Contents:
    """Unpack, check and sort the files of a zip into ``draft/dataset``; gives its table, which is not written yet.

    What is DICOM is kept as NIfTI, without its header.

    Raises ``DatasetDefects`` for what ``skipseg dataset check`` calls an error, and for names that cannot be kept;
    otherwise as ``Archive`` does.
    """
    unpacked, kept = draft / "unpacked", draft / "dataset"
    with Archive(archive, limits) as files:
        files.unpack_all(unpacked)
    root = _root(unpacked)
    if unread := converted(root):
        raise DatasetDefects(unread)
    defects, examined = examine_dataset(root)
    names = {case.case.name for case in examined}
    if wrong := [*errors(defects), *map(_misnamed, sorted(name for name in names if not CASE_NAME.fullmatch(name)))]:
        raise DatasetDefects([_without_path(defect, root) for defect in wrong])
    dataset = open_dataset(root)
    kept.mkdir()
    found = {case.case.name: _files(case) for case in examined if case.case.label}
    table = {case.name: _moved(case, found[case.name], kept) for case in dataset.cases if case.name in found}
    new = entry(1, who, "imported", cases=found)
    return _contents(name, dataset, new).changed(new, table, cases=found)


def _contents(name: str, dataset: Dataset, new: object) -> Contents:
    about = list_cases(dataset.folder).description.model_copy(update={"groups": dict(dataset.groups)})
    return described(name, about, dataset.channels, dataset.labels, new)  # type: ignore[arg-type]


def _root(unpacked: Path) -> Path:
    """Where the dataset begins: people zip a folder as often as what is in it."""
    unpacked.mkdir(exist_ok=True)
    inside = [path for path in unpacked.iterdir() if not path.name.startswith(".")]
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else unpacked


def _misnamed(case: str) -> Defect:
    return Defect(code="case_name", file=case, problem="the case's name cannot be kept", mend=f"use {CASE_RULE}")


def _without_path(defect: Defect, root: Path) -> Defect:
    """A path on the server's disk is nothing to tell."""
    return defect.model_copy(update={"problem": defect.problem.replace(str(root), "the zip")})


def _files(examined: Examined) -> CaseFiles:
    case = examined.case
    assert case.label is not None
    return CaseFiles(
        images=tuple(map(sha256, case.images)),
        voxels=tuple(image.digest for image in examined.images),
        label=sha256(case.label),
    )


def _moved(case: Case, files: CaseFiles, kept: Path) -> Group:
    """The files of a case in the folder that is kept."""
    assert case.label is not None
    images = [f"imagesTr/{files.image[:32]}/{file}" for file in image_names(case.name, [*map(_suffix, case.images)])]
    label = f"labelsTr/{files.label[:32]}/{case.name}{_suffix(case.label)}"
    for path, file in zip((*case.images, case.label), (*images, label), strict=True):
        (kept / file).parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, kept / file)
        settle(kept / file)
    return Group(images=images, label=label)


def _suffix(path: Path) -> str:
    return path.name.removeprefix(scan_stem(path)).lower()
