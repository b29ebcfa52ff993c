"""One way in a process of its own: made ready once, run when asked. These functions run over there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor

from skipseg.models.precision import Precision
from skipseg.service.bench.memory import device_peak_bytes, forget_peaks, peak_bytes
from skipseg.service.bench.readings import Shape
from skipseg.service.bench.subject import Subject, made_up_scan
from skipseg.service.bench.ways import Values, Way, make_ready
from skipseg.training.datasets.dataset import named_cases, open_dataset
from skipseg.training.judging.summary import Metrics
from skipseg.training.runs.evaluate import score


@dataclass(frozen=True)
class Ready:
    """A way, made ready."""

    precision: Precision
    backend: str
    reason: str
    seconds: float  # loading, and finding out which backend to trust
    memory_bytes: int | None  # most, meanwhile


@dataclass(frozen=True)
class Reading:
    """One image, from a normalised tensor to labels, both in main memory."""

    seconds: float
    tiles: int
    memory_bytes: int | None  # most of the process, meanwhile
    device_bytes: int | None


class _Held:
    way: Way
    device: torch.device
    image: Tensor
    labels: Values


def load(name: str, subject: Subject, device_name: str) -> Ready:
    """Make a way ready and run it once on a single tile."""
    began = perf_counter()
    bundle = subject.open()
    _Held.device = torch.device(device_name)
    _Held.way = way = make_ready(name, bundle, _Held.device)
    x, y, z = (*bundle.plan.tile, 1)[:3]
    _Held.image = made_up_scan(len(bundle.plan.channels), (x, y, z))
    way.labels(_Held.image)
    return Ready(way.precision, way.backend, way.reason, perf_counter() - began, peak_bytes())


def run(shape: Shape) -> Reading:
    """Take the made-up scan of a shape to its labels."""
    if _Held.image.shape[1:] != shape:
        _Held.image = made_up_scan(len(_Held.image), shape)
    forget_peaks(_Held.device)
    began = perf_counter()
    _Held.labels = _Held.way.labels(_Held.image)
    seconds = perf_counter() - began
    return Reading(seconds, _Held.way.tiles, peak_bytes(), device_peak_bytes(_Held.device))


def last_labels() -> Values:
    """Of the last run."""
    return _Held.labels


def score_cases(name: str, folder: Path, cases: Sequence[str]) -> Metrics:
    """The way's masks of a dataset's cases, scored."""
    dataset = open_dataset(folder)
    return score(_Held.way.segment, name, dataset, named_cases(dataset, cases))
