"""How large a study is: everything that is settled before the first run, by the device and the minutes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

import torch

from skipseg.models.networks.recipes import build
from skipseg.models.plan import Plan
from skipseg.models.precision import fastest_precision
from skipseg.training.datasets.dataset import Dataset, checksum
from skipseg.training.planning.fingerprint import measure
from skipseg.training.planning.planner import make_plan
from skipseg.training.study.bench import Bench, draw_cases, set_up, tile_within
from skipseg.training.study.grid import EXTENTS, Extent, Variation
from skipseg.training.study.records import Setup

COARSE_MINUTES = 10.0  # below it a study on a processor is a coarse one: smaller patches, fewer initialisations
WANTED_STEPS, FEWEST_STEPS = 150, 10  # a smaller grid is taken before fewer steps than wanted
FITTING_SHARE = 0.8  # of the time left; the rest is for building networks, instruments, and the page
JUDGING_SHARE = 0.2  # of the whole budget that scoring may take
FEWEST_KEPT = 4
COARSE = EXTENTS[2:]  # of a coarse study: not all depths are even timed
CUTS = 5  # times a network with skips is scored: whole, and with each of two skips zeroed and shuffled


@dataclass(frozen=True)
class Size:
    """How large networks and patches are."""

    weights: int
    step_voxels: int  # of all patches of a step
    starts: int


def size_for(device: torch.device, minutes: float) -> Size:
    """Small on a processor, larger on a GPU."""
    if device.type == "cuda":
        return Size(weights=2_000_000, step_voxels=400_000, starts=10)
    if minutes < COARSE_MINUTES:
        return Size(weights=60_000, step_voxels=16_000, starts=3)
    return Size(weights=100_000, step_voxels=64_000, starts=8)


def decide(
    dataset: Dataset,
    minutes: float,
    seed: int,
    device: torch.device,
    work: Path,
    began: float,
    tell: Callable[[str], None],
) -> Bench:
    """Measure cases, plan, and time steps; ``began`` is when the study was asked for, on the monotonic clock."""
    size = size_for(device, minutes)
    training, kept_out = draw_cases(dataset)
    tell(f"measuring {len(training)} cases")
    planned = make_plan(measure(replace(dataset, cases=training), None), device)
    plan = _smaller(planned.plan, size)
    first = Setup(
        dataset=dataset.name,
        dataset_sha256=checksum(dataset),
        minutes=minutes,
        seed=seed,
        device=device.type,
        threads=torch.get_num_threads(),
        precision=fastest_precision(device),
        weights=size.weights,
        training=tuple(case.name for case in training),
        kept_out=tuple(case.name for case in kept_out),
        groups={case.name: dataset.groups[case.name] for case in kept_out if case.name in dataset.groups},
        depths=EXTENTS[-1].depths,
        seeds=1,
        steps=FEWEST_STEPS,
        starts=size.starts,
        pace={},
        case_seconds=0.0,
        plan=plan,
        batch=max(size.step_voxels // prod(plan.tile), 1),
        flips=planned.flips,
        voxel=planned.voxel,
        whole_batch_dice=planned.whole_batch_dice,
    )
    tell("timing a few steps of each kind of network")
    return _fitted_in(set_up(dataset, first, work, device), began)


def _smaller(plan: Plan, size: Size) -> Plan:
    """With a tile of which a step holds one at least; of pictures several, since they differ more."""
    most = size.step_voxels if plan.dimensions == 3 else size.step_voxels // 4
    return plan.model_copy(update={"tile": tile_within(plan.tile, most)})


def _fitted_in(bench: Bench, began: float) -> Bench:
    """The largest extent, and as many steps, as fit into the minutes."""
    setup, budget = bench.setup, 60 * bench.setup.minutes
    options = EXTENTS if budget >= 60 * COARSE_MINUTES or bench.device.type == "cuda" else COARSE
    pace = _pace(bench, options[0])
    case_seconds = _case_seconds(bench)
    for extent in options:
        scored = extent.seeds * len(extent.variations) + CUTS * _with_cuts(extent)
        kept = min(max(int(JUDGING_SHARE * budget / (scored * case_seconds)), FEWEST_KEPT), len(setup.kept_out))
        left = budget - (time.monotonic() - began) - scored * kept * case_seconds
        a_step = extent.seeds * sum(pace[key_of(one)] for one in extent.variations)
        steps = int(FITTING_SHARE * left / a_step)
        if steps >= WANTED_STEPS:
            break
    settled = setup.model_copy(
        update={
            "depths": extent.depths,
            "seeds": extent.seeds,
            "steps": max(steps, FEWEST_STEPS),
            "pace": pace,
            "case_seconds": case_seconds,
            "kept_out": setup.kept_out[:kept],
        }
    )
    return replace(bench, setup=settled, kept_out=bench.kept_out[:kept], judge=bench.judge.fewer(kept))


def key_of(variation: Variation) -> str:
    """Variations of one key take about as long a step."""
    return f"{variation.depth} {variation.skip} {variation.activation}"


def _pace(bench: Bench, extent: Extent) -> dict[str, float]:
    by_key = {key_of(variation): variation for variation in extent.variations}
    return {key: bench.step_seconds(variation) for key, variation in by_key.items()}


def _case_seconds(bench: Bench) -> float:
    """Of the deepest network, untrained, on the first case after one that sets kernels up."""
    network = build(bench.plan_of(Variation(depth=max(bench.setup.depths))).network)
    bench.judge.fewer(1)(network)
    began = time.monotonic()
    bench.judge.fewer(1)(network)
    return max(time.monotonic() - began, 1e-3)


def _with_cuts(extent: Extent) -> int:
    """Runs after which skips are cut."""
    return extent.seeds * sum(one.compares_skips and one.skip != "none" for one in extent.variations)
