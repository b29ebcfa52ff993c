"""The skip-connection study: everything that is said of skips, measured on one dataset."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from skipseg.models.errors import UsageError
from skipseg.models.networks.kit import Kit
from skipseg.models.networks.skips import SKIPS
from skipseg.models.precision import choose_device
from skipseg.training.datasets.dataset import Dataset, checksum, open_dataset
from skipseg.training.study.bench import Bench, scratch, set_up
from skipseg.training.study.claims import judge_claims
from skipseg.training.study.decide import decide
from skipseg.training.study.grid import Variation, recipe_of
from skipseg.training.study.page import write_page
from skipseg.training.study.prices import network_prices, projection_prices
from skipseg.training.study.records import Study, read_study, write_study
from skipseg.training.study.runs import run_once
from skipseg.training.study.starts import measure_starts

ROUNDS = 24  # of timing, each kind in turn
PROJECTED = 16  # features of the projections that are timed

Progress = Callable[[int, int], None]  # hundredths of runs done, of how many


def study(
    folder: Path,
    out: Path,
    minutes: float = 60.0,
    device: str = "auto",
    seed: int = 0,
    progress: Progress = lambda done, total: None,
    tell: Callable[[str], None] = lambda text: None,
) -> Study:
    """Fit every variation of the grid on a dataset and write ``study.json`` and ``report.html`` into ``out``.

    What is already in ``out`` is gone on with: no finished run is made again. Raises ``UsageError`` when that is of
    another dataset or was begun with other wishes, ``DatasetError`` when there are too few cases.
    """
    began = time.monotonic()
    if minutes <= 0:
        raise UsageError(f"--minutes must be above 0; got {minutes:g}")
    dataset, on = open_dataset(folder), choose_device(device)
    out.mkdir(parents=True, exist_ok=True)
    with scratch() as work:
        found = read_study(out)
        if found is None:
            bench = decide(dataset, minutes, seed, on, Path(work), began, tell)
            found = Study(setup=bench.setup, spent=time.monotonic() - began)
        else:
            _check_same(found, dataset, minutes, seed, on)
            tell(f"going on with the study in {out}: {len(found.runs)} runs are done")
            bench = set_up(dataset, found.setup, Path(work), on)
        write_study(found, out)
        found = _measured(replace(bench, out=out), found, out, progress)
    found = found.model_copy(update={"claims": judge_claims(found)})
    write_study(found, out)
    write_page(found, dataset, out)
    return found


def _measured(bench: Bench, found: Study, out: Path, progress: Progress) -> Study:
    """The study with all that was missing; written after every step of it."""
    total = len(found.runs) + len(found.missing())

    def kept(began: float, **more: object) -> Study:
        grown = found.model_copy(update={"spent": found.spent + time.monotonic() - began, **more})
        write_study(grown, out)
        return grown

    def tell(done: int, share: float = 0.0) -> None:
        progress(round(100 * (done + share)), 100 * total)

    if not found.starts:
        began = time.monotonic()
        found = kept(began, starts=measure_starts(bench))
    if not found.prices:
        began = time.monotonic()
        found = kept(began, **_prices(bench))
    while (missing := found.missing()) and not _time_is_up(found):
        began, told = time.monotonic(), partial(tell, len(found.runs))
        run = run_once(bench, *missing[0], told)
        found = kept(began, runs=(*found.runs, run))
    tell(total)
    return found


def _time_is_up(found: Study) -> bool:
    """The first seed of everything is run whatever it takes; after it no run is begun that would not fit."""
    if any(seed == 0 for _, seed in found.missing()):
        return False
    typical = found.spent / len(found.runs)
    return found.spent + typical > 60 * found.setup.minutes


def _prices(bench: Bench) -> dict[str, object]:
    """All kinds of skips at the widths of concatenation, and projections."""
    frame = bench.setup.frame()
    widths = recipe_of(Variation(), frame).widths
    recipes = [recipe_of(Variation(skip=skip), frame, widths) for skip in SKIPS]
    images, _ = bench.sampler(bench.setup.seed).draw(0)
    rounds = ROUNDS if bench.setup.minutes >= 1 else 3
    kit, size = Kit(frame.dimensions, "relu"), bench.setup.plan.tile
    return {
        "prices": network_prices(recipes, images, rounds, bench.device),
        "projections": projection_prices(kit, PROJECTED, size, rounds, bench.device),
    }


def _check_same(found: Study, dataset: Dataset, minutes: float, seed: int, device: torch.device) -> None:
    setup = found.setup
    if setup.dataset_sha256 != checksum(dataset):
        raise UsageError(f"the study in this folder is of another dataset ({setup.dataset}); choose another --out")
    if (setup.minutes, setup.seed, setup.device) != (minutes, seed, device.type):
        raise UsageError(
            f"the study in this folder was begun with --minutes {setup.minutes:g} --seed {setup.seed} on "
            f"{setup.device}; ask for the same, or choose another --out"
        )
