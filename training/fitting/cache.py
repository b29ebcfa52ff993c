"""Cases, preprocessed once and kept as memory-mapped files.

The operating system's page cache holds what fits in memory and drops what does not, so a dataset larger than memory
trains without a setting.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skipseg.models.labels import Labels
from skipseg.models.plan import Plan
from skipseg.models.preprocess import prepare, prepare_labels
from skipseg.training.datasets.dataset import Case, Dataset, read_case
from skipseg.training.fitting.inherit import classes_in

Annotated = tuple[bool, ...] | None  # which classes the truth of a case could name; None: all of them
PLACES_PER_CLASS = 10_000  # remembered to centre patches on; more would not be drawn in a run


@dataclass(frozen=True)
class CachedCase:
    """A case on the network's grid."""

    image: NDArray[np.float16]  # (C, *spatial)
    classes: NDArray[np.unsignedinteger]  # (*spatial)
    foreground: tuple[NDArray[np.int32], ...]  # per class present, background left out: places (n, axes)
    annotated: Annotated = None

    def open(self) -> CachedCase:
        """Itself: it is in memory."""
        return self

    def slice(self, chance: np.random.Generator, foreground_share: float) -> CachedCase:
        """One slice along the last axis as a case of its own, often one with foreground."""
        depth = self.classes.shape[-1]
        if self.foreground and chance.random() < foreground_share:
            places = self.foreground[int(chance.integers(len(self.foreground)))]
            at = int(places[int(chance.integers(len(places)))][-1])
        else:
            at = int(chance.integers(depth))
        inside = (
            tuple(places[places[:, -1] == at][:, :-1] for places in self.foreground)
            if depth > 1
            else tuple(p[:, :-1] for p in self.foreground)
        )
        foreground = tuple(places for places in inside if len(places))
        return CachedCase(self.image[..., at], self.classes[..., at], foreground, self.annotated)


@dataclass(frozen=True)
class CaseFiles:
    """A cached case on disk, mapped while it is looked at, so that any number of cases needs few open files."""

    image: Path
    classes: Path
    foreground: tuple[NDArray[np.int32], ...]
    annotated: Annotated = None

    def open(self) -> CachedCase:
        """The case, its voxels read as they are touched."""
        image, classes = np.load(self.image, mmap_mode="r"), np.load(self.classes, mmap_mode="r")
        return CachedCase(image, classes, self.foreground, self.annotated)


def cache_cases(
    dataset: Dataset,
    cases: Sequence[Case],
    plan: Plan,
    folder: Path,
    done: Callable[[], None] = lambda: None,
    labels: Labels | None = None,
) -> list[CaseFiles]:
    """Preprocess cases into ``folder`` (those already there are kept); ``done`` is called after each.

    Classes are those of ``labels``, which hold all of the dataset's and maybe more; the dataset's own if not given.
    """
    folder.mkdir(parents=True, exist_ok=True)
    labels = labels or dataset.labels

    def one(case: Case) -> CaseFiles:
        cached = _cache_case(dataset, case, plan, folder, labels)
        done()
        return cached

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, cases))


def _cache_case(dataset: Dataset, case: Case, plan: Plan, folder: Path, labels: Labels) -> CaseFiles:
    index = np.array(classes_in(dataset.labels, labels), dtype=int)
    stem = folder / hashlib.sha256(f"{case.name}\n{plan.model_dump_json()}".encode()).hexdigest()[:24]
    paths = [stem.with_suffix(suffix) for suffix in (".image.npy", ".classes.npy", ".places.npz")]
    if not paths[2].exists():
        volume, values = read_case(dataset, case)
        prepared = prepare(volume, plan)
        classes = prepare_labels(index[np.searchsorted(dataset.labels.values, values)], prepared.placement)
        np.save(paths[0], prepared.image.numpy().clip(-6e4, 6e4).astype(np.float16))
        np.save(paths[1], classes)
        np.savez(paths[2].with_suffix(".writing.npz"), *_places(classes, seed=len(case.name)))
        paths[2].with_suffix(".writing.npz").replace(paths[2])
    with np.load(paths[2]) as places:
        foreground = tuple(places[name] for name in places.files)
    annotated = tuple(place in index for place in range(len(labels)))
    return CaseFiles(paths[0], paths[1], foreground, None if all(annotated) else annotated)


def _places(classes: NDArray[np.unsignedinteger], seed: int) -> list[NDArray[np.int32]]:
    chance = np.random.default_rng(seed)
    found = []
    for value in np.unique(classes):
        if value == 0:
            continue
        flat = np.flatnonzero(classes == value)
        flat = chance.choice(flat, PLACES_PER_CLASS, replace=False) if len(flat) > PLACES_PER_CLASS else flat
        found.append(np.stack(np.unravel_index(flat, classes.shape), axis=1).astype(np.int32))
    return found
