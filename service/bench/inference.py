"""``skipseg bench inference``: one scan from network input to labels, beside MONAI's inferer.

Every way runs in a process of its own, on the same weights, tiles and overlap, and they take turns: one scan each,
round after round, so that a machine whose speed drifts is fair to all. Ratios are those of readings of one round.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import numpy as np
import torch

from skipseg.service.bench import running
from skipseg.service.bench.machine import Machine, this_machine, watch_the_others
from skipseg.service.bench.peaks import Peak, matrix_peaks
from skipseg.service.bench.process import Process
from skipseg.service.bench.readings import Progress, Shape, Steps, paired_ratio
from skipseg.service.bench.running import Reading, Ready
from skipseg.service.bench.subject import Subject, operations
from skipseg.service.bench.ways import Values, ways
from skipseg.training.judging.summary import Metrics

REFERENCE, EXACT = "monai_fp32", "exact"

Result = TypeVar("Result")


@dataclass(frozen=True)
class InferenceWish:
    """What to measure."""

    subject: Subject
    scan: Shape
    device: str  # cpu, cuda or cuda:N
    rounds: int
    peak_side: int | None = None  # of the matrices that the peak is measured with; None: as the device needs
    dataset: Path | None = None  # to score the masks of
    cases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measured:
    """What came of one way."""

    ready: Ready
    readings: tuple[Reading, ...]
    seconds: float  # median
    ratio: float  # times as fast as MONAI in fp32
    tiles_per_s: float
    gflops: float
    peak_share: float  # of the matrix product's peak of its type
    memory_bytes: int | None  # most of the process, while it ran
    device_bytes: int | None
    as_monai: float  # share of voxels with the label that MONAI gives in fp32
    as_exact: float  # and with the one that skipseg gives in fp32, which blends tiles as ``fast`` does
    dice: float | None = None  # mean, on the cases of a dataset
    dice_by_label: Mapping[str, float | None] | None = None


@dataclass(frozen=True)
class Inference:
    """What a run of the benchmark leaves."""

    machine: Machine
    network: str
    scan: Shape
    tile: Shape
    overlap: float
    classes: int
    device: str
    operations_per_tile: float
    peaks: tuple[Peak, ...]
    label_shares: tuple[float, ...]  # of MONAI's labels: that they agree tells little where there is but one
    scored_cases: int
    others: float | None  # cores that other processes kept busy meanwhile
    ways: Mapping[str, Measured]

    def as_json(self) -> dict[str, Any]:
        """Everything, raw readings too."""
        ratios = {name: self.ways[name].ratio for name in ("fast", "exact", "fewer")}
        return {"bench": "inference", "ratios": ratios, **asdict(self)}


def measure_inference(wish: InferenceWish, progress: Progress) -> Inference:
    """Run all ways in turn; raises as opening the bundle does, and ``ScanTooLarge`` when memory runs out."""
    bundle, others = wish.subject.open(), watch_the_others()
    taken = _take(wish, progress)
    x, y, z = (*bundle.plan.tile, 1)[:3]
    work = operations(bundle)
    return Inference(
        machine=this_machine(torch.device(wish.device)),
        network=bundle.plan.network.told,
        scan=wish.scan,
        tile=(x, y, z),
        overlap=bundle.plan.overlap,
        classes=bundle.plan.network.classes,
        device=wish.device,
        operations_per_tile=work,
        peaks=taken.peaks,
        label_shares=_shares(taken.masks[REFERENCE], bundle.labels.values),
        scored_cases=len(wish.cases),
        others=others(),
        ways={name: _measured(name, taken, work) for name in ways()},
    )


@dataclass(frozen=True)
class _Taken:
    """Readings, by way."""

    ready: Mapping[str, Ready]
    rounds: Sequence[Mapping[str, Reading]]
    peaks: tuple[Peak, ...]
    masks: Mapping[str, Values]
    scored: Mapping[str, Metrics]  # empty without a dataset


def _take(wish: InferenceWish, progress: Progress) -> _Taken:
    steps = Steps(len(ways()) * (2 + wish.rounds + bool(wish.cases)) + wish.rounds, progress)
    peaks, rounds = list[Peak](), list[Mapping[str, Reading]]()
    with ExitStack() as stack:
        race = _Race(stack, steps)
        ready = race.each(lambda name, process: process.call(running.load, name, wish.subject, wish.device))
        for _ in range(wish.rounds):
            peaks.extend(race.peaks(wish))
            rounds.append(race.each(lambda _, process: process.call(running.run, wish.scan)))
        masks = race.each(lambda _, process: process.call(running.last_labels))
        scored = race.each(lambda name, process: _scored(process, name, wish)) if wish.cases else {}
    return _Taken(ready, rounds, _best_of(peaks), masks, scored)


class _Race:
    """A process for every way, and one for what nobody's figures may suffer from."""

    def __init__(self, stack: ExitStack, steps: Steps) -> None:
        self._processes = {name: stack.enter_context(Process(plain=not ours)) for name, (_, ours) in ways().items()}
        self._aside = stack.enter_context(Process(plain=False))
        self._steps = steps

    def each(self, call: Callable[[str, Process], Result]) -> dict[str, Result]:
        """What every process answers, one after the other."""
        answers = {}
        for name, process in self._processes.items():
            answers[name] = call(name, process)
            self._steps.step()
        return answers

    def peaks(self, wish: InferenceWish) -> tuple[Peak, ...]:
        found = self._aside.call(matrix_peaks, wish.device, wish.peak_side)
        self._steps.step()
        return found


def _scored(process: Process, name: str, wish: InferenceWish) -> Metrics:
    assert wish.dataset is not None
    return process.call(running.score_cases, name, wish.dataset, wish.cases)


def _measured(name: str, taken: _Taken, work: float) -> Measured:
    ready, readings = taken.ready[name], tuple(one[name] for one in taken.rounds)
    seconds = [reading.seconds for reading in readings]
    tiles_per_s = readings[0].tiles / median(seconds)
    gflops = tiles_per_s * work / 1e9
    scored = taken.scored.get(name)
    return Measured(
        ready=ready,
        readings=readings,
        seconds=median(seconds),
        ratio=paired_ratio([one[REFERENCE].seconds for one in taken.rounds], seconds),
        tiles_per_s=tiles_per_s,
        gflops=gflops,
        peak_share=gflops / max(peak.gflops for peak in taken.peaks if peak.precision == ready.precision),
        memory_bytes=_most([reading.memory_bytes for reading in readings]),
        device_bytes=_most([reading.device_bytes for reading in readings]),
        as_monai=_agreement(taken.masks, name, REFERENCE),
        as_exact=_agreement(taken.masks, name, EXACT),
        dice=scored.mean.dice if scored else None,
        dice_by_label={label: scores.dice for label, scores in scored.labels.items()} if scored else None,
    )


def _best_of(peaks: Sequence[Peak]) -> tuple[Peak, ...]:
    """The best of each library and type."""
    best: dict[tuple[str, str], Peak] = {}
    for peak in peaks:
        kind = (peak.library, peak.precision)
        best[kind] = max(peak, best.get(kind, peak), key=lambda one: one.gflops)
    return tuple(best.values())


def _agreement(masks: Mapping[str, Values], name: str, other: str) -> float:
    return float(np.mean(masks[name] == masks[other]))


def _shares(mask: Values, values: Sequence[int]) -> tuple[float, ...]:
    return tuple(round(float(np.mean(mask == value)), 4) for value in values)


def _most(counts: Sequence[int | None]) -> int | None:
    return max((count for count in counts if count is not None), default=None)
