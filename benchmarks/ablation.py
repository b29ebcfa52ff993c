"""What each choice of the fitting loop is worth: one change a row, judged on development cases, several seeds.

    python benchmarks/ablation.py DATASET --out rows.json [--without FILE] [--steps 200] [--seeds 0,1,2] [--rows a,b]

All rows of a dataset make equally many steps on the same cases and are judged on the same others, drawn from those that
``--without`` does not name: nothing that a result is reported on is looked at. Steps instead of minutes make rows
comparable on a machine that others use too; seconds a step are told beside. Rows already in ``--out`` are kept.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from skipseg.models.networks.recipes import build
from skipseg.models.precision import Precision, fastest_precision
from skipseg.training.datasets.dataset import open_dataset
from skipseg.training.fitting.augment import IntensitySettings
from skipseg.training.fitting.cache import CaseFiles, cache_cases
from skipseg.training.fitting.fit import Fit, FitSettings
from skipseg.training.fitting.sampling import PatchSampler
from skipseg.training.fitting.schedule import Budget
from skipseg.training.fitting.spatial import SpatialSettings
from skipseg.training.fitting.validate import Validation
from skipseg.training.planning.fingerprint import measure
from skipseg.training.planning.planner import TrainingPlan, make_plan

CPU = torch.device("cpu")
SHARE_JUDGED, MOST_JUDGED = 0.28, 46
DRAW = 7  # one draw of cases for every row and seed


@dataclass(frozen=True)
class Trial:
    """One way of fitting: the default, or the default with one change."""

    plan: TrainingPlan
    fit: FitSettings
    spatial: SpatialSettings
    steps: int
    precision: Precision = "bf16"


Change = Callable[[Trial], Trial]


def fit(**changes: object) -> Change:
    return lambda trial: replace(trial, fit=replace(trial.fit, **changes))  # type: ignore[arg-type]


def spatial(**changes: object) -> Change:
    return lambda trial: replace(trial, spatial=replace(trial.spatial, **changes))  # type: ignore[arg-type]


def network(**changes: object) -> Change:
    def change(trial: Trial) -> Trial:
        plan = trial.plan.plan
        recipe = plan.network.model_copy(update=changes)
        return replace(trial, plan=trial.plan.model_copy(update={"plan": plan.model_copy(update={"network": recipe})}))

    return change


def stem(trial: Trial) -> Trial:
    """The first resolution is entered with a stride of 2."""
    strides = trial.plan.plan.network.strides
    return network(strides=(tuple(2 for _ in strides[0]), *strides[1:]))(trial)


def half_batch(trial: Trial) -> Trial:
    batch = max(trial.plan.batch // 2, 1)
    return replace(trial, plan=trial.plan.model_copy(update={"batch": batch}), steps=trial.steps * 2)


def intensities(factor: float) -> Change:
    usual = IntensitySettings()
    shares = {name: min(1.0, factor * share) for name, share in vars(usual).items()}
    return fit(intensity=IntensitySettings(**shares))


CHANGES: dict[str, Change] = {
    "default": lambda trial: trial,
    "AdamW for every weight": fit(optimiser="adamw"),
    "half the learning rate": lambda trial: fit(learning_rate=trial.fit.learning_rate / 2)(trial),
    "twice the learning rate": lambda trial: fit(learning_rate=trial.fit.learning_rate * 2)(trial),
    "half the batch and twice the steps": half_batch,
    "no average of weights": fit(average_decay=0.0),
    "plain blocks": network(residual=False),
    "no deep supervision": network(deep_supervision=False),
    "stem of stride 2": stem,
    "no turning": spatial(turn_share=0.0),
    "turning twice as often": lambda trial: spatial(turn_share=2 * trial.spatial.turn_share)(trial),
    "mirroring turned round": lambda trial: spatial(flips=tuple(not flip for flip in trial.spatial.flips))(trial),
    "no intensity changes": intensities(0.0),
    "intensity changes twice as often": intensities(2.0),
    "places drawn uniformly": spatial(foreground_share=0.0),
    "every place on a label": spatial(foreground_share=1.0),
    "Dice over the batch turned round": lambda trial: fit(whole_batch_dice=not trial.fit.whole_batch_dice)(trial),
    "fp32": lambda trial: replace(trial, precision="fp32"),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="JSON of all runs so far")
    parser.add_argument("--without", type=Path, help="file of cases to leave alone, one name a line")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--rows", help="names of rows, comma separated; default: all")
    wanted = parser.parse_args()
    runs = json.loads(wanted.out.read_text()) if wanted.out.exists() else []
    with tempfile.TemporaryDirectory() as folder:
        plan, training, judged = prepared(wanted.dataset, wanted.without, Path(folder))
        for seed in map(int, wanted.seeds.split(",")):
            for row in wanted.rows.split(",") if wanted.rows else CHANGES:
                if any((run["row"], run["seed"], run["steps"]) == (row, seed, wanted.steps) for run in runs):
                    continue
                runs.append(run_once(row, seed, wanted.steps, plan, training, judged))
                wanted.out.write_text(json.dumps(runs, indent=1))
                print(f"{row}, seed {seed}: {runs[-1]['dice']:.4f}", flush=True)
    print(table(runs))


def prepared(folder: Path, without: Path | None, work: Path) -> tuple[TrainingPlan, list[CaseFiles], list[CaseFiles]]:
    """The plan, the cases to train on and those to judge on."""
    dataset = open_dataset(folder)
    left_alone = set(without.read_text().split()) if without else set()
    cases = [case for case in dataset.cases if case.label is not None and case.name not in left_alone]
    order = np.random.default_rng(DRAW).permutation(len(cases))
    count = min(max(round(SHARE_JUDGED * len(cases)), 1), MOST_JUDGED)
    judged, training = [[cases[i] for i in part] for part in (order[:count], order[count:])]
    plan = make_plan(measure(replace(dataset, cases=tuple(training)), None), CPU)
    files = cache_cases(dataset, [*training, *judged], plan.plan, work)
    return plan, files[: len(training)], files[len(training) :]


def run_once(
    row: str, seed: int, steps: int, plan: TrainingPlan, training: list[CaseFiles], judged: list[CaseFiles]
) -> dict[str, object]:
    usual = Trial(
        plan=plan,
        fit=FitSettings(whole_batch_dice=plan.whole_batch_dice),
        spatial=SpatialSettings(flips=plan.flips, spacing=plan.voxel),
        steps=steps,
        precision=fastest_precision(CPU),
    )
    trial = CHANGES[row](usual)
    torch.manual_seed(seed)
    with tempfile.TemporaryDirectory() as work:
        fit = Fit(
            network=build(trial.plan.plan.network),
            sampler=PatchSampler(training, trial.plan.plan.tile, trial.plan.batch, seed, trial.spatial),
            budget=Budget(steps=trial.steps),
            settings=trial.fit,
            device=CPU,
            precision=trial.precision,
            checkpoint=Path(work) / "checkpoint.safetensors",
        )
        started = time.monotonic()
        fitted = fit.run()
        seconds = time.monotonic() - started
    scores = [Validation([case], trial.plan.plan, CPU, trial.precision)(fitted.weights) for case in judged]
    dice = statistics.fmean(scores)
    return {"row": row, "seed": seed, "steps": steps, "dice": dice, "seconds_a_step": seconds / trial.steps}


def table(runs: list[dict[str, object]]) -> str:
    """Markdown: Dice of every seed, their mean, the mean difference to the default of the same seed."""
    lines = ["| change | Dice per seed | mean | against the default | s a step |", "|---|---|---|---|---|"]
    usual = {run["seed"]: float(run["dice"]) for run in runs if run["row"] == "default"}  # type: ignore[arg-type]
    for row in dict.fromkeys(run["row"] for run in runs):
        mine = {run["seed"]: run for run in runs if run["row"] == row}
        scores = [float(run["dice"]) for run in mine.values()]  # type: ignore[arg-type]
        gains = [float(run["dice"]) - usual[seed] for seed, run in mine.items() if seed in usual]  # type: ignore[arg-type]
        pace = statistics.fmean(float(run["seconds_a_step"]) for run in mine.values())  # type: ignore[arg-type]
        gain = f"{statistics.fmean(gains):+.4f}" if gains and row != "default" else "-"
        told = ", ".join(f"{score:.3f}" for score in scores)
        lines.append(f"| {row} | {told} | {statistics.fmean(scores):.4f} | {gain} | {pace:.2f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
