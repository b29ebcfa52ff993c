"""How fast this machine multiplies matrices at best: what a network's speed is a share of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import torch
from torch import nn

from skipseg.models.inference.backends.backend import Unusable
from skipseg.models.inference.backends.openvino_cpu import OpenVINO
from skipseg.models.precision import Precision

TRIES = 3
LAYERS = 4  # products in a row, so that changing number formats at both ends costs little
TYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}
SIDES = {"cpu": 4096, "cuda": 8192}
QUICK_SIDE = 256


@dataclass(frozen=True)
class Peak:
    """The best of a few products of two square matrices."""

    library: str
    precision: Precision
    gflops: float  # a second


def matrix_peaks(device_name: str, side: int | None = None) -> tuple[Peak, ...]:
    """Of torch on a device, and of OpenVINO where that is a processor: which of them is faster depends on it."""
    device = torch.device(device_name)
    side = side or SIDES[device.type]
    found = [Peak("torch", precision, _of_torch(device, precision, side)) for precision in TYPES]
    for precision in TYPES if device.type == "cpu" else ():
        try:
            found.append(Peak("openvino", precision, _of_openvino(precision, side)))
        except Unusable:
            continue
    return tuple(found)


def _of_torch(device: torch.device, precision: Precision, side: int) -> float:
    left, right = (torch.randn(side, side, device=device).to(TYPES[precision]) for _ in range(2))
    into = torch.empty_like(left)

    def multiply() -> None:
        torch.matmul(left, right, out=into)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return 2 * side**3 / _best_seconds(multiply) / 1e9


def _of_openvino(precision: Precision, side: int) -> float:
    layers = nn.Sequential(*(nn.Linear(side, side, bias=False) for _ in range(LAYERS))).eval()
    backend = OpenVINO(layers, (side, side), precision)
    given = torch.randn(1, side, side)
    return LAYERS * 2 * side**3 / _best_seconds(lambda: backend(given)) / 1e9


def _best_seconds(work: Callable[[], object]) -> float:
    work()
    taken = []
    for _ in range(TRIES):
        began = perf_counter()
        work()
        taken.append(perf_counter() - began)
    return min(taken)
