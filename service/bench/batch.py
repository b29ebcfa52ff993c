"""``skipseg bench batch``: a folder of scans, beside a loop that takes them one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from skipseg.models.precision import Mode
from skipseg.models.scans.reader import read_scan, scan_files
from skipseg.service.bench import folders
from skipseg.service.bench.folders import FolderRun
from skipseg.service.bench.machine import Machine, this_machine, watch_the_others
from skipseg.service.bench.process import Process
from skipseg.service.bench.readings import Progress, Shape, Steps, paired_ratio
from skipseg.service.bench.subject import Subject

OURS, PLAIN = "skipseg", "plain"


@dataclass(frozen=True)
class BatchWish:
    """What to measure."""

    subject: Subject
    name: str  # of the model, for people
    scans: Path
    device: str  # cpu, cuda or cuda:N
    mode: Mode
    rounds: int


@dataclass(frozen=True)
class FolderRuns:
    """What came of one way."""

    ready_s: float  # loading, before
    runs: tuple[FolderRun, ...]

    @property
    def scans_per_s(self) -> float:
        return median(run.scans / run.seconds for run in self.runs)

    @property
    def busy_share(self) -> float | None:
        """Of the time that the device worked on networks and blending."""
        shares = [run.busy_s / run.seconds for run in self.runs if run.busy_s is not None]
        return median(shares) if shares else None


@dataclass(frozen=True)
class BatchBench:
    """What a run of the benchmark leaves."""

    machine: Machine
    model: str
    tile: Shape
    overlap: float
    device: str
    mode: Mode
    ratio: float  # times as many scans a second as the plain loop
    agreement: float | None  # share of voxels in which both ways' masks are the same
    others: float | None  # cores that other processes kept busy meanwhile
    ways: Mapping[str, FolderRuns]

    def as_json(self) -> dict[str, Any]:
        """Everything, raw readings too."""
        scans = {name: one.scans_per_s for name, one in self.ways.items()}
        busy = self.ways[OURS].busy_share
        return {"bench": "batch", "scans_per_s": scans, "busy_share": busy, **asdict(self)}


def measure_batch(wish: BatchWish, folder: Path, progress: Progress) -> BatchBench:
    """Segment all scans in both ways in turn, masks into ``folder``; raises as opening the model and its scans does."""
    bundle, others = wish.subject.open(), watch_the_others()
    steps = Steps(2 + 2 * wish.rounds, progress)
    runs: dict[str, list[FolderRun]] = {OURS: [], PLAIN: []}
    with Process(plain=False) as own, Process(plain=True) as plain:
        ready = {OURS: own.call(folders.load_ours, wish.subject, wish.device, wish.mode)}
        steps.step()
        ready[PLAIN] = plain.call(folders.load_plain, wish.subject, wish.device)
        steps.step()
        for number in range(wish.rounds):
            runs[OURS].append(own.call(folders.ours, wish.scans, folder / f"{OURS}-{number}"))
            steps.step()
            runs[PLAIN].append(plain.call(folders.plain, wish.scans, folder / f"{PLAIN}-{number}"))
            steps.step()
    x, y, z = (*bundle.plan.tile, 1)[:3]
    seconds = {name: [run.seconds for run in taken] for name, taken in runs.items()}
    return BatchBench(
        machine=this_machine(torch.device(wish.device)),
        model=wish.name,
        tile=(x, y, z),
        overlap=bundle.plan.overlap,
        device=wish.device,
        mode=wish.mode,
        ratio=paired_ratio(seconds[PLAIN], seconds[OURS]),
        agreement=_agreement(folder / f"{OURS}-0", folder / f"{PLAIN}-0"),
        others=others(),
        ways={name: FolderRuns(ready[name], tuple(taken)) for name, taken in runs.items()},
    )


def _agreement(ours: Path, plain: Path) -> float | None:
    """Over all masks that both have; None when there are none."""
    same = count = 0
    for path in scan_files(ours):
        if (other := plain / path.relative_to(ours)).is_file():
            equal = read_scan(path).voxels == read_scan(other).voxels
            same, count = same + int(np.count_nonzero(equal)), count + equal.size
    return same / count if count else None
