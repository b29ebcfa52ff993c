"""How many tiles a second the engine runs when nobody has to read, write or send anything. Runs in its own process."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from time import perf_counter

import torch

from skipseg.models.inference.engine import Engine
from skipseg.models.inference.predictor import Predictor, load_predictor
from skipseg.models.precision import Mode
from skipseg.models.preprocess import Prepared
from skipseg.service.bench.readings import Shape
from skipseg.service.bench.subject import Subject, made_up_scan
from skipseg.service.bench.ways import as_it_is

AHEAD = 8  # scans in flight at any time


@dataclass(frozen=True)
class Rate:
    """What the engine does alone."""

    tiles_per_s: float
    tiles: int  # of each scan


class _Held:
    predictor: Predictor
    engine: Engine


def load(subject: Subject, device_name: str, mode: Mode) -> None:
    """Make the network ready."""
    _Held.predictor = load_predictor(subject.open(), torch.device(device_name), mode)
    _Held.engine = Engine()


def tile_rate(shape: Shape, duration_s: float) -> Rate:
    """Of scans of a shape that are always at hand."""
    image = made_up_scan(len(_Held.predictor.plan.channels), shape)
    prepared = Prepared(image, as_it_is(image))
    each = _Held.predictor.flight(prepared).tiles_left
    began, done = perf_counter(), 0
    waiting = deque(_Held.engine.fly(_Held.predictor.flight(prepared)) for _ in range(AHEAD))
    while waiting:
        waiting.popleft().result()
        done += 1
        if perf_counter() - began < duration_s:
            waiting.append(_Held.engine.fly(_Held.predictor.flight(prepared)))
    return Rate(done * each / (perf_counter() - began), each)
