"""Studies of known outcome, made up."""

from pathlib import Path

from bundles import small_plan

from skipseg.training.study.gradients import GradientNorms
from skipseg.training.study.grid import Extent, Variation
from skipseg.training.study.prices import NetworkPrice, ProjectionPrice
from skipseg.training.study.records import Point, Run, Score, Setup, Start, Study
from skipseg.training.study.starts import start_variations

CASES = tuple(f"case {number}" for number in range(6))
EXTENT = Extent((4, 16, 52), 3)
HERE = Path(__file__).parent


def setup(**changes):
    fields = {
        "dataset": "made up",
        "dataset_sha256": "0",
        "minutes": 60,
        "seed": 0,
        "device": "cpu",
        "threads": 1,
        "precision": "fp32",
        "plan": small_plan(),
        "batch": 1,
        "flips": (False,) * 3,
        "voxel": (1.0,) * 3,
        "whole_batch_dice": False,
        "weights": 60_000,
        "training": ("other",),
        "kept_out": CASES,
        "groups": {},
        "depths": EXTENT.depths,
        "seeds": EXTENT.seeds,
        "steps": 100,
        "starts": 4,
        "pace": {},
        "case_seconds": 1.0,
    }
    return Setup(**{**fields, **changes})


def run(variation, seed=0, dice=0.8, hd95=2.0, nsd=0.8, loss=1.0, **changes):
    """Every case a little different; the loss sinks to ``loss`` as one by the step."""
    scores = tuple(
        Score(case=case, dice=dice + 0.001 * number, hd95_mm=hd95 + 0.01 * number, nsd_1mm=nsd + 0.001 * number)
        for number, case in enumerate(CASES)
    )
    curve = tuple(Point(step=step, loss=loss + 10 / step) for step in range(1, 101))
    norms = GradientNorms(step=0, layers=("contracting.0", "expanding.0"), gradients=(1.0, 1.0), weights=(1.0, 1.0))
    fields = {
        "variation": variation,
        "seed": seed,
        "steps": 100,
        "seconds": 10.0,
        "weights": 60_000,
        "held_bytes": 2**20,
        "curve": curve,
        "gradients": (norms,),
        "scores": scores,
    }
    return Run(**{**fields, **changes})


def runs(change=lambda variation, seed: {}, seeds=3):
    """All of the grid; ``change(variation, seed)`` gives what differs from the usual run."""
    return tuple(run(one, seed, **change(one, seed)) for seed in range(seeds) for one in EXTENT.variations)


def starts(ratio=lambda variation, draw: 1.0):
    """``ratio(variation, draw)`` is the first layer's gradient by the last's."""
    return tuple(
        Start(variation=one, draw=draw, along=(ratio(one, draw), 1.0))
        for one in start_variations(EXTENT.depths)
        for draw in range(4)
    )


def price(skip, milliseconds=(1.0, 1.1, 1.2), held=1000):
    return NetworkPrice(skip=skip, weights=10, multiplications=1.0, held_bytes=held, milliseconds=milliseconds)


def projection(share=(0.01, 0.02, 0.03), weights_share=0.05, refused=True):
    return ProjectionPrice(
        where="residual block",
        refused=refused,
        features=8,
        weights=10,
        weights_share=weights_share,
        milliseconds=share,
        milliseconds_share=share,
    )


def study(**changes):
    fields = {
        "setup": setup(),
        "starts": starts(),
        "prices": (price("concat"), price("add")),
        "projections": (projection(),),
        "runs": runs(),
    }
    return Study(**{**fields, **changes})


__all__ = ["CASES", "Variation", "price", "projection", "run", "runs", "setup", "starts", "study"]
