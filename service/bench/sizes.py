"""How large the benchmarks are: as the figures are quoted, and quick, to see that everything works."""

from __future__ import annotations

from dataclasses import dataclass

from skipseg.service.bench.readings import Shape


@dataclass(frozen=True)
class InferenceSize:
    widths: tuple[int, ...]  # features per resolution of the network
    scan: Shape
    tile: Shape
    rounds: int
    peak_side: int | None  # of the matrices that the peak is measured with; None: as the device needs


def inference_size(quick: bool) -> InferenceSize:
    """Of ``skipseg bench inference``."""
    if quick:
        return InferenceSize((8, 12, 16), (48, 48, 32), (32, 32, 32), 2, 256)
    return InferenceSize((32, 64, 128, 256, 320), (256, 256, 128), (128, 128, 64), 3, None)


@dataclass(frozen=True)
class ServingSize:
    widths: tuple[int, ...]
    tile: Shape
    overlap: float
    small: Shape
    large: int  # voxels along each axis
    large_clients: int
    small_clients: int
    idle: int  # small scans of one client alone
    first: int  # requests after each start
    starts: int
    rounds: int  # of throughput
    duration_s: float  # of each round


def serving_size(quick: bool) -> ServingSize:
    """Of ``skipseg bench serving``."""
    if quick:
        return ServingSize((8, 12, 16), (32, 32, 32), 0.25, (20, 24, 20), 48, 4, 4, 3, 3, 1, 1, 0.5)
    return ServingSize((16, 16, 32, 64, 128), (64, 64, 64), 0.25, (35, 51, 35), 256, 4, 8, 20, 10, 3, 3, 10.0)


@dataclass(frozen=True)
class BatchSize:
    scans: int
    rounds: int


def batch_size(quick: bool) -> BatchSize:
    """Of ``skipseg bench batch``."""
    return BatchSize(4, 1) if quick else BatchSize(208, 3)
