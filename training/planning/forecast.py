"""What a run will take, stage by stage, from the seconds of one training step."""

from __future__ import annotations

from math import ceil, prod

from pydantic import BaseModel, ConfigDict

from skipseg.training.planning.candidates import Candidate, Timing
from skipseg.training.planning.costs import BACKWARD
from skipseg.training.planning.fingerprint import Fingerprint

READ_SECONDS_PER_VOXEL = 1.5e-7  # unpacking, normalising, resampling; two threads
START_SECONDS = 5.0
MEANWHILE = 0.05  # of the fitting time goes into looks at scans kept out and into checkpoints
REPORT_SECONDS = 10.0
SCORE_SECONDS_PER_VOXEL = 6e-7  # distances between surfaces, reading and writing


class Expected(BaseModel):
    """What a run will take, stage by stage; seconds of wall clock."""

    model_config = ConfigDict(frozen=True)

    seconds_per_step: float
    measured: bool  # or guessed from the network's size
    steps: int | None  # within the time given; None when no time was
    preparing_seconds: float  # start, measuring, preprocessing
    fitting_seconds: float | None
    evaluating_seconds: float
    memory_bytes: int  # at most, while fitting


def expected(
    timing: Timing, fingerprint: Fingerprint, minutes: float | None, kept_out: int, overlap: float
) -> Expected:
    """What a run with a candidate will take."""
    chosen = timing.candidate
    room = None if minutes is None else fitting_seconds(chosen, fingerprint, minutes, kept_out, overlap, timing.seconds)
    return Expected(
        seconds_per_step=timing.seconds,
        measured=timing.measured,
        steps=None if room is None else int(room / timing.seconds),
        preparing_seconds=_preparing_seconds(fingerprint, kept_out),
        fitting_seconds=room,
        evaluating_seconds=_evaluating_seconds(chosen, fingerprint, kept_out, overlap, timing.seconds),
        memory_bytes=chosen.memory_bytes,
    )


def fitting_seconds(
    chosen: Candidate, fingerprint: Fingerprint, minutes: float, kept_out: int, overlap: float, step_seconds: float
) -> float:
    """What is left of a run's minutes; evaluation takes at most a third of them."""
    evaluating = min(_evaluating_seconds(chosen, fingerprint, kept_out, overlap, step_seconds), 20 * minutes)
    left = 60 * minutes - _preparing_seconds(fingerprint, kept_out) - evaluating
    return max(left * (1 - MEANWHILE), 0.0)


def _preparing_seconds(fingerprint: Fingerprint, kept_out: int) -> float:
    voxels = len(fingerprint.channels) * prod(axis.median for axis in fingerprint.shape)
    return START_SECONDS + (fingerprint.cases + kept_out) * voxels * READ_SECONDS_PER_VOXEL


def _evaluating_seconds(
    chosen: Candidate, fingerprint: Fingerprint, kept_out: int, overlap: float, step_seconds: float
) -> float:
    """Of segmenting, scoring and reporting the scans kept out, tile by tile, in 2D slice by slice."""
    if kept_out == 0:
        return 0.0
    along = [
        1 + max(ceil((side - tile) / (tile * (1 - overlap)) - 1e-6), 0)
        for side, tile in zip(chosen.grid.shape, chosen.patch, strict=True)
    ]
    a_tile = step_seconds / chosen.batch / (1 + BACKWARD)
    slices = fingerprint.shape[2].median if fingerprint.dimensions == 2 else 1
    a_slice = prod(along) * a_tile + SCORE_SECONDS_PER_VOXEL * prod(chosen.grid.shape)
    return REPORT_SECONDS + kept_out * slices * a_slice
