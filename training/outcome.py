"""What a fit leaves behind: weights, their evaluation, and the card that tells of both, as one bundle."""

from __future__ import annotations

import platform
import re
import shutil
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from skipseg.models.bundle import Bundle, TrainingRecord, save_bundle
from skipseg.models.inference.predictor import Predictor
from skipseg.models.plan import Plan
from skipseg.models.precision import Precision
from skipseg.models.trust import Ranges
from skipseg.training.card import write_card
from skipseg.training.dataset import Dataset, image_checksum
from skipseg.training.description import Description
from skipseg.training.evaluate import evaluate
from skipseg.training.fit import Fitted
from skipseg.training.gains import Before, judge
from skipseg.training.gains_page import gains_markdown, write_gains
from skipseg.training.layouts import list_cases
from skipseg.training.progress import Display
from skipseg.training.retrain import Retraining
from skipseg.training.split import Split
from skipseg.training.tracking import HISTORY, write_rows

SOFTWARE = ("skipseg", "torch", "monai", "numpy", "nibabel")


@dataclass(frozen=True)
class Run:
    """What was fitted, and on what."""

    dataset: Dataset
    dataset_sha256: str
    split: Split
    seed: int
    precision: Precision
    plan: Plan
    device: torch.device
    going_on: Retraining | None = None
    judged: Before | None = None  # the base's scores
    ranges: Ranges | None = None  # of the cases trained on


def write_bundle(out: Path, work: Path, run: Run, fitted: Fitted, name: str | None, display: Display) -> Bundle:
    """Evaluate the fitted weights on the cases kept out and write the bundle to ``out`` in one step.

    ``work`` is a folder for files on the way.
    """
    about = list_cases(run.dataset.folder).description
    fields: dict[str, Any] = {
        "name": _slug(name or run.dataset.name),
        "task": about.description or f"Segments {_names(run.dataset)} as in {run.dataset.name}",
        "licence": about.licence or "unstated",
        "labels": run.going_on.labels if run.going_on else run.dataset.labels,
        "plan": run.plan,
        "training": _record(run, fitted),
    }
    card = partial(write_card, data_notice=_notice(about))
    draft = save_bundle(work / "draft", fitted.weights, card, **fields)
    evaluation = work / "evaluation"
    metrics = _evaluate(evaluation, draft, run, fitted, display)
    card = partial(card, gains=_gained(evaluation, draft, run))
    bundle = save_bundle(out, fitted.weights, card, evaluation, metrics=metrics, **fields)
    display.say(
        f"bundle: {out}" + (f", mean Dice {metrics['dice']:.4f} on cases kept out" if metrics.get("dice") else "")
    )
    return bundle


def _evaluate(out: Path, draft: Bundle, run: Run, fitted: Fitted, display: Display) -> dict[str, float | None]:
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    write_rows(out / HISTORY, fitted.history)
    if not run.split.validation:
        return {}
    predictor = Predictor(draft, str(run.device), run.precision)
    cases, history = run.split.validation, out / HISTORY
    with display.counting("evaluating", len(cases)) as done:
        metrics = evaluate(predictor, draft.manifest.name, run.dataset, cases, out, lambda *_: done(), history)
    for failure in metrics.failed:
        display.say(f"{failure.case} could not be evaluated: {failure.error}")
    shutil.rmtree(out / "masks", ignore_errors=True)
    return {**metrics.mean.model_dump(), **{f"dice/{label}": scores.dice for label, scores in metrics.labels.items()}}


def _gained(out: Path, draft: Bundle, run: Run) -> str:
    """What a retraining gained and lost, as a part of the card; the files of it go into ``out``."""
    if run.going_on is None or run.judged is None or not run.judged.scores:
        return ""
    gains = judge(run.going_on, run.judged, run.dataset, run.split, Predictor(draft, str(run.device), run.precision))
    write_gains(gains, out)
    return gains_markdown(gains)


def _record(run: Run, fitted: Fitted) -> TrainingRecord:
    return TrainingRecord(
        dataset=run.dataset.name,
        dataset_sha256=run.dataset_sha256,
        cases=tuple(case.name for case in run.split.training),
        images_sha256=tuple(image_checksum(case) for case in run.split.training),
        validation_cases=tuple(case.name for case in run.split.validation),
        validation_images_sha256=tuple(image_checksum(case) for case in run.split.validation),
        base=run.going_on.record if run.going_on else None,
        replay=tuple(old.record() for old in run.going_on.replays) if run.going_on else (),
        seed=run.seed,
        steps=fitted.steps,
        minutes=round(fitted.seconds / 60, 2),
        device=run.device.type,
        precision=run.precision,
        ranges=run.ranges,
        software={"python": platform.python_version(), **{name: version(name) for name in SOFTWARE}},
    )


def _notice(about: Description) -> str:
    """Who made the data and what may be done with it, as the dataset says."""
    maker = f"Made by: {about.reference.rstrip('.')}." if about.reference else ""
    licence = f"Licence: {about.licence}." if about.licence else ""
    return " ".join(filter(None, [maker, licence]))


def _names(dataset: Dataset) -> str:
    return ", ".join(label.name for label in dataset.labels.foreground)


def _slug(name: str) -> str:
    """A name fit for the registry and for a URL."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63] or "model"
