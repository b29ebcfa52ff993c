"""A model against a dataset's truth: numbers, masks and a report."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from skipseg.models.errors import DatasetError, SkipsegError
from skipseg.models.labels import Labels
from skipseg.models.scans.masks import MASK_FORMATS, mask_suffix, write_mask
from skipseg.models.scans.reader import scan_stem
from skipseg.models.scans.volume import Mask, Volume
from skipseg.training.dataset import Case, Dataset, read_case
from skipseg.training.metrics import CaseScore, Failure, Metrics, score_labels, summarise
from skipseg.training.report import write_report

Segment = Callable[[Volume], Mask]
Progress = Callable[[int, int], None]


def evaluate(
    segment: Segment,
    bundle_name: str,
    dataset: Dataset,
    cases: Sequence[Case],
    out: Path,
    progress: Progress | None = None,
    history: Path | None = None,
) -> Metrics:
    """Segment and score cases, and write ``metrics.json``, ``cases.csv``, ``report.html`` and ``masks/`` into ``out``.

    ``history`` is the ``history.csv`` of a training, drawn as learning curves. A case that cannot be scored is named in
    ``Metrics.failed`` and in every file. Raises ``DatasetError`` when the model's labels contradict the dataset's.
    """
    masks = out / "masks"
    masks.mkdir(parents=True, exist_ok=True)
    written: dict[str, Path] = {}

    by_file = _distinct([_own_stem(case) for case in cases])

    def keep(case: Case, mask: Mask) -> None:
        written[case.name] = masks / mask_name(case, mask, by_file)
        write_mask(mask, written[case.name], _format(mask))

    metrics = score(segment, bundle_name, dataset, cases, progress, keep)
    (out / "metrics.json").write_text(metrics.model_dump_json(indent=1), encoding="utf-8")
    write_cases(metrics, out / "cases.csv")
    write_report(metrics, dataset, written, out / "report.html", history)
    return metrics


def score(
    segment: Segment,
    bundle_name: str,
    dataset: Dataset,
    cases: Sequence[Case],
    progress: Progress | None = None,
    keep: Callable[[Case, Mask], None] | None = None,
) -> Metrics:
    """As ``evaluate``, in memory; ``keep(case, mask)`` is handed every mask, ``progress(done, total)`` every step."""
    scores: list[CaseScore] = []
    failed: list[Failure] = []
    for done, case in enumerate(cases, start=1):
        try:
            mask, one = _score_case(segment, dataset, case)
            if keep:
                keep(case, mask)
            scores.append(one)
        except LabelsDisagree:
            raise
        except (SkipsegError, MemoryError, torch.OutOfMemoryError) as error:
            failed.append(Failure(case=case.name, error=str(error) or type(error).__name__))
        if progress:
            progress(done, len(cases))
    return summarise(bundle_name, dataset.name, dataset.labels, scores, failed)


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
        table.writerow(["case", "label", "dice", "hd95_mm", "nsd_1mm", "truth_mm3", "mask_mm3", "error"])
        for case in metrics.cases:
            for name, one in case.labels.items():
                table.writerow([case.case, name, one.dice, one.hd95_mm, one.nsd_1mm, one.truth_mm3, one.mask_mm3, None])
        for failure in metrics.failed:
            table.writerow([failure.case, *[None] * 6, failure.error])


def _score_case(segment: Segment, dataset: Dataset, case: Case) -> tuple[Mask, CaseScore]:
    image, truth = read_case(dataset, case)
    began = time.perf_counter()
    mask = segment(image)
    seconds = time.perf_counter() - began
    _compare_labels(mask.labels, dataset.labels)
    labels = score_labels(mask.voxels, truth, dataset.labels, image.geometry.spacing)
    return mask, CaseScore(case=case.name, labels=labels, seconds=seconds)


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
