"""How far a training is, read from the files that it writes as it goes."""

from __future__ import annotations

from pathlib import Path

from skipseg.service.retraining.outcome import CurvePoint, Stage, TrainProgress
from skipseg.service.retraining.tasks import COUNT_FILE
from skipseg.training.fitting.tracking import HISTORY, WORK, read_rows

CANDIDATE, DRAFT, EVALUATION = "candidate", "draft", "evaluation"


def history_of(folder: Path) -> Path:
    """Where the course of a job's training lies: with the files on the way, and in the end in the bundle."""
    kept = folder / CANDIDATE / EVALUATION / HISTORY
    return kept if kept.is_file() else work_of(folder) / HISTORY


def work_of(folder: Path) -> Path:
    """The folder of a training's files on the way."""
    return folder / (CANDIDATE + WORK)


def read_curve(folder: Path) -> tuple[CurvePoint, ...]:
    """The rows so far; one that is just being written is left out."""
    rows = [row for row in read_rows(history_of(folder)) if row.get("step") is not None and row.get("loss") is not None]
    return tuple(
        CurvePoint(step=int(row["step"] or 0), seconds=row["seconds"] or 0.0, loss=row["loss"] or 0.0, dice=row["dice"])
        for row in rows
        if row.get("seconds") is not None and "dice" in row
    )


def training_stage(folder: Path) -> Stage:
    """``evaluating`` from when the fitted weights are written."""
    return "evaluating" if (work_of(folder) / DRAFT).is_dir() else "training"


def comparing(folder: Path, cases: int) -> TrainProgress:
    """How many cases have been segmented."""
    try:
        done = int((folder / COUNT_FILE).read_text().partition("/")[0])
    except (OSError, ValueError):
        done = 0
    return TrainProgress(stage="comparing", curve=read_curve(folder), compared=done, to_compare=2 * cases)
