"""A model against a dataset's truth: numbers, masks and a report."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from skipseg.models.errors import DatasetError, SkipsegError
from skipseg.models.labels import Labels
from skipseg.models.scans.masks import MASK_FORMATS, mask_suffix, write_mask
from skipseg.models.scans.reader import scan_stem
from skipseg.models.scans.volume import Mask
from skipseg.training.datasets.dataset import Case, Dataset, read_case
from skipseg.training.datasets.truth import LabelVoxels
from skipseg.training.judging.answer import Model, answer
from skipseg.training.judging.cells import cell_score
from skipseg.training.judging.metrics import CaseScore, score_labels
from skipseg.training.judging.summary import Counts, Failure, Metrics, summarise
from skipseg.training.reports.report import write_report

COLUMNS = (
    "dice",
    "iou",
    "hd95_mm",
    "nsd_1mm",
    "truth_mm3",
    "mask_mm3",
    "volume_error_mm3",
    "volume_error_percent",
)

Models = Model | Mapping[str, Model]  # one for all, or for each case by its name
Progress = Callable[[int, int], None]


def evaluate(
    model: Models,
    bundle_name: str,
    dataset: Dataset,
    cases: Sequence[Case],
    out: Path,
    progress: Progress | None = None,
    history: Path | None = None,
    groups: Mapping[str, str] | None = None,
) -> Metrics:
    """Segment and score cases, and write ``metrics.json``, ``cases.csv``, ``report.html`` and ``masks/`` into ``out``.

    ``history`` is the ``history.csv`` of a training, drawn as learning curves. ``groups`` maps a case to its subject;
    without, the dataset's own are taken. A case that cannot be scored is named in ``Metrics.failed`` and in every file.
    Raises ``DatasetError`` when the model's labels contradict the dataset's.
    """
    masks = MaskFolder(out / "masks", cases)
    metrics = score(model, bundle_name, dataset, cases, progress, masks.keep, groups)
    (out / "metrics.json").write_text(metrics.model_dump_json(indent=1), encoding="utf-8")
    write_cases(metrics, out / "cases.csv")
    write_report(metrics, dataset, masks.written, out / "report.html", history)
    return metrics


def score(
    model: Models,
    bundle_name: str,
    dataset: Dataset,
    cases: Sequence[Case],
    progress: Progress | None = None,
    keep: Callable[[Case, Mask], None] | None = None,
    groups: Mapping[str, str] | None = None,
) -> Metrics:
    """As ``evaluate``, in memory; ``keep(case, mask)`` is handed every mask, ``progress(done, total)`` every step."""
    scores: list[CaseScore] = []
    failed: list[Failure] = []
    counts = Counts()
    for done, case in enumerate(cases, start=1):
        try:
            mask, one, of_case = _score_case(_of(model, case), dataset, case)
            if keep:
                keep(case, mask)
            scores.append(one)
            counts += of_case
        except LabelsDisagree:
            raise
        except (SkipsegError, MemoryError, torch.OutOfMemoryError) as error:
            failed.append(Failure(case=case.name, error=str(error) or type(error).__name__))
        if progress:
            progress(done, len(cases))
    subjects = dataset.groups if groups is None else groups
    return summarise(bundle_name, dataset.name, dataset.labels, scores, failed, counts, subjects)


class MaskFolder:
    """Masks written into a folder as they come; ``written`` maps a case's name to its mask's file."""

    def __init__(self, folder: Path, cases: Sequence[Case]) -> None:
        self.folder, self.by_file = folder, _distinct([_own_stem(case) for case in cases])
        self.written: dict[str, Path] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def keep(self, case: Case, mask: Mask) -> None:
        """Write the mask of a case."""
        self.written[case.name] = self.folder / mask_name(case, mask, self.by_file)
        write_mask(mask, self.written[case.name], _format(mask))


class LabelsDisagree(DatasetError):
    """The model and the dataset mean different things by one label value: no case can be scored."""


def mask_name(case: Case, mask: Mask, by_file: bool = True) -> str:
    """A mask keeps its scan's file name; that of several channel files, or not ``by_file``, is called like the case."""
    if by_file and len(case.images) == 1 and mask.source.format in MASK_FORMATS:
        return case.images[0].name
    return case.name.replace("/", "_") + mask_suffix(mask, _format(mask))


def write_cases(metrics: Metrics, path: Path) -> None:
    """One row per case and label, one per failed case."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["case", "label", *COLUMNS, "trust", "error"])
        for case in metrics.cases:
            trust = None if case.trust is None else case.trust.score
            for name, one in case.labels.items():
                table.writerow([case.case, name, *(getattr(one, column) for column in COLUMNS), trust, None])
        for failure in metrics.failed:
            table.writerow([failure.case, *[None] * (len(COLUMNS) + 2), failure.error])


def _of(model: Models, case: Case) -> Model:
    return model[case.name] if isinstance(model, Mapping) else model


def _score_case(model: Model, dataset: Dataset, case: Case) -> tuple[Mask, CaseScore, Counts]:
    image, truth = read_case(dataset, case)
    answered = answer(model, image, truth)
    mask = answered.mask
    _compare_labels(mask.labels, dataset.labels)
    one = CaseScore(
        case=case.name,
        labels=score_labels(mask.voxels, truth, dataset.labels, image.geometry.spacing),
        seconds=answered.seconds,
        trust=answered.trust,
        cells=cell_score(mask.voxels, truth, dataset.labels),
    )
    return mask, one, Counts(_confusion(mask.voxels, truth, dataset.labels), answered.reliability)


def _confusion(mask: LabelVoxels, truth: LabelVoxels, labels: Labels) -> NDArray[np.int64]:
    """Voxels of each label of the truth (rows) under each label of the mask (columns), others last."""
    count = len(labels)
    index = np.full(int(max(mask.max(initial=0), *labels.values)) + 1, count)
    index[list(labels.values)] = np.arange(count)
    counts = np.zeros(count * (count + 1), dtype=np.int64)
    for true, found in zip(truth, mask, strict=True):  # plane by plane: whole scans of such numbers take gigabytes
        counts += np.bincount((index[true] * (count + 1) + index[found]).ravel(), minlength=len(counts))
    return counts.reshape(count, count + 1)


def _own_stem(case: Case) -> str:
    return scan_stem(case.images[0]) if len(case.images) == 1 else case.name


def _distinct(names: Sequence[str]) -> bool:
    """Also on a disk that takes upper and lower case for one."""
    return len({name.casefold() for name in names}) == len(names)


def _compare_labels(of_model: Labels, of_dataset: Labels) -> None:
    """Labels are compared by value; one name under two values would score one structure against another."""
    values = {label.name: label.value for label in of_model.all}
    for label in of_dataset.foreground:
        if values.get(label.name, label.value) != label.value:
            raise LabelsDisagree(
                f"label {label.name!r} is {label.value} in the dataset and {values[label.name]} in the model; "
                "renumber the dataset's labels as the model has them"
            )


def _format(mask: Mask) -> str | None:
    return None if mask.source.format in MASK_FORMATS else "nifti"
