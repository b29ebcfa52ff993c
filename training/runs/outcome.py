"""What a fit leaves behind: weights, their evaluation, and the card that tells of both, as one bundle."""

from __future__ import annotations

import platform
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch

from skipseg.models.bundle import Bundle, TrainingRecord, save_bundle
from skipseg.models.inference.predictor import Predictor
from skipseg.models.plan import Plan
from skipseg.models.precision import Precision
from skipseg.models.trust import Ranges
from skipseg.training.datasets.dataset import Case, Dataset, image_checksum
from skipseg.training.datasets.description import Description
from skipseg.training.datasets.layouts import list_cases
from skipseg.training.datasets.split import Split
from skipseg.training.fitting.fit import Fitted
from skipseg.training.fitting.tracking import HISTORY, write_rows
from skipseg.training.runs.card import write_card
from skipseg.training.runs.evaluate import Models, evaluate
from skipseg.training.runs.gains import Before, judge
from skipseg.training.runs.gains_page import gains_markdown, write_gains
from skipseg.training.runs.progress import Display
from skipseg.training.runs.retrain import Retraining
from skipseg.training.study.gradients import INSTRUMENTS

OUT_OF_FOLD = "out-of-fold"  # among the files of an evaluation, where cases were kept out of all folds
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
    members: int = 1  # networks that answer as one
    folds: tuple[tuple[str, ...], ...] = ()  # per member: the cases that it alone did not learn from
    distilled_from: int = 0  # members of the ensemble that taught the network
    unseen: Mapping[str, Predictor] = field(default_factory=dict)  # by case: the member that did not learn from it

    @property
    def measured(self) -> Literal["kept_out", "out_of_fold"]:
        """What the figures of the bundle are on."""
        return "out_of_fold" if self.unseen and not self.split.validation else "kept_out"


def write_bundle(out: Path, work: Path, run: Run, fitted: Fitted, name: str | None, display: Display) -> Bundle:
    """Evaluate the fitted weights on the cases kept out and write the bundle to ``out`` in one step.

    ``work`` is a folder for files on the way. Of an ensemble ``fitted`` holds its members' weights joined.
    """
    card, fields = _described(run, fitted, name)
    draft = save_bundle(work / "draft", fitted.weights, card, **fields)
    evaluation = work / "evaluation"
    metrics = _evaluate(evaluation, draft, run, fitted, display)
    for path in list(work.rglob(INSTRUMENTS)):  # of a fold: fold-1-instruments.csv
        shutil.copy(path, evaluation / "-".join(path.relative_to(work).parts))
    card = partial(card, gains=_gained(evaluation, draft, run))
    bundle = save_bundle(out, fitted.weights, card, evaluation, metrics=metrics, **fields)
    where = "out of fold" if run.measured == "out_of_fold" else "on cases kept out"
    display.say(f"bundle: {out}" + (f", mean Dice {metrics['dice']:.4f} {where}" if metrics.get("dice") else ""))
    return bundle


def write_member(folder: Path, run: Run, fitted: Fitted) -> Bundle:
    """One network of an ensemble to come, as a bundle without an evaluation."""
    card, fields = _described(run, fitted, None)
    return save_bundle(folder, fitted.weights, card, **fields)


def _described(run: Run, fitted: Fitted, name: str | None) -> tuple[partial[str], dict[str, Any]]:
    """The card and the manifest's fields, but for metrics and checksum."""
    about = list_cases(run.dataset.folder).description
    fields: dict[str, Any] = {
        "name": _slug(name or run.dataset.name),
        "task": about.description or f"Segments {_names(run.dataset)} as in {run.dataset.name}",
        "licence": about.licence or "unstated",
        "labels": run.going_on.labels if run.going_on else run.dataset.labels,
        "plan": run.plan,
        "training": _record(run, fitted),
        "members": run.members,
    }
    return partial(write_card, data_notice=_notice(about)), fields


def _evaluate(out: Path, draft: Bundle, run: Run, fitted: Fitted, display: Display) -> dict[str, float | None]:
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    write_rows(out / HISTORY, fitted.history)
    figures: dict[str, float | None] = {}
    if run.unseen:
        cases = [case for case in run.split.training if case.name in run.unseen]
        place = out / OUT_OF_FOLD if run.split.validation else out
        place.mkdir(exist_ok=True)
        figures = _scored(place, run.unseen, f"{draft.manifest.name}, out of fold", cases, run, out / HISTORY, display)
    if run.split.validation:
        predictor = Predictor(draft, str(run.device), run.precision)
        cases = list(run.split.validation)
        figures = _scored(out, predictor, draft.manifest.name, cases, run, out / HISTORY, display)
    return figures


def _scored(
    out: Path, models: Models, name: str, cases: Sequence[Case], run: Run, history: Path, display: Display
) -> dict[str, float | None]:
    """The evaluation of cases, its files in ``out``, and the figures that go into the manifest."""
    groups = run.dataset.groups or None
    with display.counting("evaluating", len(cases)) as done:
        metrics = evaluate(models, name, run.dataset, cases, out, lambda *_: done(), history, groups)
    for failure in metrics.failed:
        display.say(f"{failure.case} could not be evaluated: {failure.error}")
    shutil.rmtree(out / "masks", ignore_errors=True)
    return {**metrics.mean.model_dump(), **{f"dice/{label}": scores.dice for label, scores in metrics.labels.items()}}


def _gained(out: Path, draft: Bundle, run: Run) -> str:
    """What a retraining gained and lost, as a part of the card; the files of it go into ``out``."""
    if run.going_on is None or run.judged is None or not run.judged.scores:
        return ""
    predictor = Predictor(draft, str(run.device), run.precision)
    gains = judge(run.going_on, run.judged, run.dataset, run.split, predictor, out)
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
        folds=run.folds,
        distilled_from=run.distilled_from,
        measured=run.measured,
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
