"""Everything that is wrong with a dataset, found before training is."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

from skipseg.models.errors import DatasetError
from skipseg.models.labels import Labels
from skipseg.training.datasets.defects import Defect, defects_json, errors, render_defects
from skipseg.training.datasets.examine import Content, Examined, examine
from skipseg.training.datasets.layouts import EXPECTED, Listing, list_cases
from skipseg.training.datasets.truth import INSTANCES_MEND, classes_found, look_like_instances

__all__ = ["Defect", "check_dataset", "defects_json", "errors", "examine_dataset", "render_defects"]

Progress = Callable[[int, int], None]

SPACING_FACTOR = 2.0  # further than this from the median is an outlier
_SHOWN = 5


def check_dataset(folder: Path, progress: Progress | None = None) -> list[Defect]:
    """Every defect of a dataset, errors first; reads every file once and never stops at the first defect.

    ``progress(done, total)`` is called after each case. Raises nothing for what the folder holds.
    """
    return examine_dataset(folder, progress)[0]


def examine_dataset(folder: Path, progress: Progress | None = None) -> tuple[list[Defect], list[Examined]]:
    """The same, and what was seen of every case."""
    folder = Path(folder)
    try:
        listing = list_cases(folder)
    except DatasetError as error:
        mend = "arrange the files in one of the layouts"
        return [Defect(code="not_a_dataset", file=".", problem=str(error), mend=mend)], []
    cases = _examine_all(listing, progress)
    found = [*listing.defects, *(defect for case in cases for defect in case.defects), *_across(listing, cases)]
    return sorted(set(found), key=lambda defect: (defect.severity, defect.code, defect.file, defect.problem)), cases


def _examine_all(listing: Listing, progress: Progress | None) -> list[Examined]:
    """Threads help because decompressing and hashing leave the interpreter; few, since each holds a scan."""
    examined = []
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        for done, case in enumerate(pool.map(partial(examine, listing.folder), listing.cases), start=1):
            examined.append(case)
            if progress:
                progress(done, len(listing.cases))
    return examined


def _across(listing: Listing, cases: Sequence[Examined]) -> Iterator[Defect]:
    if not any(case.case.label for case in cases):
        yield Defect(
            code="nothing_to_train_on", file=".", problem="no image has a label", mend=f"add labels; {EXPECTED}"
        )
    yield from _label_defects(listing, cases)
    yield from _channel_counts(listing, cases)
    yield from _duplicates(cases)
    yield from _spacing_outliers(cases)
    yield from _flat_cases(cases)


def _label_defects(listing: Listing, cases: Sequence[Examined]) -> Iterator[Defect]:
    counts = [(case.label.file, case.counts) for case in cases if case.label and case.counts is not None]
    yield from _empty_labels(counts)
    try:
        labels = listing.description.named_labels()
    except DatasetError as error:
        yield Defect(code="labels_unclear", file="dataset.json", problem=str(error), mend="mend the 'labels' there")
        return
    if listing.description.foreground == "any":
        return
    if labels:
        yield from _unknown_values(labels, counts)
    elif look_like_instances([frozenset(values) for _, values in counts]):
        most = max(counts, key=lambda item: len(item[1]))
        problem = (
            f"the labels seem to number objects, not to name classes: this one holds {len(most[1]) - 1} values above 0"
        )
        yield Defect(code="instance_labels", file=most[0], problem=problem, mend=INSTANCES_MEND)


def _unknown_values(labels: Labels, counts: Sequence[tuple[str, dict[int, int]]]) -> Iterator[Defect]:
    known = set(labels.values)
    for file, values in counts:
        if unknown := sorted(classes_found([values], known) - known):
            voxels = sum(values[value] for value in unknown)
            problem = f"{voxels} voxels hold values the dataset does not name: {_some(unknown)}"
            yield Defect(
                code="label_unknown",
                file=file,
                problem=problem,
                mend="name the value in dataset.json, or mend the label",
            )


def _empty_labels(counts: Sequence[tuple[str, dict[int, int]]]) -> Iterator[Defect]:
    for file, values in counts:
        if not set(values) - {0}:
            mend = "right if nothing is to be seen in this image, otherwise add its label"
            yield Defect(code="label_empty", file=file, problem="the label is empty", mend=mend, severity="warning")
    if counts and not any(set(values) - {0} for _, values in counts):
        yield Defect(
            code="nothing_to_train_on", file=".", problem="every label is empty", mend="add labels that mark something"
        )


def _channel_counts(listing: Listing, cases: Sequence[Examined]) -> Iterator[Defect]:
    names = listing.description.channel_names
    usual = len(names) or _most_common(case.channels for case in cases if case.channels)
    said = f"dataset.json names {usual} ({', '.join(names)})" if names else f"most have {usual}"
    for case in cases:
        if case.channels is not None and case.channels != usual:
            problem = f"the image has {case.channels} channels, {said}"
            yield Defect(
                code="channel_count", file=case.file, problem=problem, mend="give every case the same channels"
            )


def _duplicates(cases: Sequence[Examined]) -> Iterator[Defect]:
    images = _alike(content for case in cases for content in case.images)
    labels = _alike(case.label for case in cases if case.label)
    for first, *others in images.values():
        for other in others:
            yield Defect(
                code="duplicate_image",
                file=other,
                problem=f"holds the same voxels as {first}",
                mend="keep one: a copy on both sides of a split makes validation lie",
            )
    for first, *others in labels.values():
        for other in others:
            mend = "check which image this label belongs to"
            yield Defect(
                code="duplicate_label",
                file=other,
                problem=f"holds the same voxels as {first}",
                mend=mend,
                severity="warning",
            )
    for digest in images.keys() & labels.keys():
        mend = "one of the two was saved in place of the other: export it again"
        problem = f"holds the same voxels as the image {images[digest][0]}"
        yield Defect(code="label_is_image", file=labels[digest][0], problem=problem, mend=mend)


def _alike(contents: Iterable[Content]) -> dict[str, list[str]]:
    """Files by what they hold; a constant image has its own defect, and empty labels are alike by nature."""
    files: dict[str, list[str]] = defaultdict(list)
    for content in contents:
        if not content.constant:
            files[content.digest].append(content.file)
    return files


def _spacing_outliers(cases: Sequence[Examined]) -> Iterator[Defect]:
    spaced = [(case.file, case.spacing) for case in cases if case.spacing]
    if len(spaced) < 3:
        return
    median = np.median([spacing for _, spacing in spaced], axis=0)
    for file, spacing in spaced:
        ratio = np.maximum(np.array(spacing) / median, median / np.array(spacing)).max()
        if ratio > SPACING_FACTOR:
            problem = f"spacing {_mm(spacing)} mm is {ratio:.3g} times off the median {_mm(median)} mm"
            mend = "right if the scan was taken so; otherwise mend the header"
            yield Defect(code="spacing_outlier", file=file, problem=problem, mend=mend, severity="warning")


def _flat_cases(cases: Sequence[Examined]) -> Iterator[Defect]:
    shaped = [(case.file, case.shape) for case in cases if case.shape]
    flat = [file for file, shape in shaped if shape[2] == 1]
    if 0 < len(flat) < len(shaped):
        few = flat if len(flat) <= len(shaped) / 2 else [file for file, shape in shaped if shape[2] > 1]
        for file in few:
            problem = "a single slice among volumes" if few is flat else "a volume among single slices"
            yield Defect(code="dimensions_mixed", file=file, problem=problem, mend="make a dataset of each kind")


def _most_common(counts: Iterable[int]) -> int:
    return next((value for value, _ in Counter(counts).most_common(1)), 0)


def _some(values: Sequence[int]) -> str:
    return ", ".join(map(str, values[:_SHOWN])) + (f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else "")


def _mm(spacing: Iterable[float]) -> str:
    return " x ".join(f"{mm:.3g}" for mm in spacing)
