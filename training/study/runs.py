"""One run of a study: a variation fitted with a seed, and everything that is looked at on the way and after."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from math import isfinite

import torch
from torch import Tensor, nn

from skipseg.models.errors import DatasetError
from skipseg.models.networks.recipes import build
from skipseg.training.fitting.tracking import Row
from skipseg.training.fitting.validate import Validation
from skipseg.training.study.activations import activation_statistics, held_bytes
from skipseg.training.study.bench import Bench
from skipseg.training.study.crossing import OfAnother, changed, crossings, effective_rank, joins_of, zeroed
from skipseg.training.study.cut_picture import keep_masks
from skipseg.training.study.gradients import GradientTrace
from skipseg.training.study.grid import Variation
from skipseg.training.study.judge import Judge
from skipseg.training.study.prices import skip_prices
from skipseg.training.study.records import CutSkip, Point, Run, Score

CUT_CASES = 12  # scored at most with skips cut
LOOKED_AT = 3  # cases for the Dice on the way


def run_once(bench: Bench, variation: Variation, seed: int, progress: Callable[[float], None]) -> Run:
    """Fit, score and look inside; a fit that diverges is a result too. Raises ``KeyboardInterrupt`` when asked to end.

    ``progress`` is told the share of the fit that is done.
    """
    setup, trace = bench.setup, GradientTrace()
    look = Validation(bench.kept_out, bench.plan_of(variation), bench.device, setup.precision)
    look.looked_at = LOOKED_AT
    began = time.monotonic()
    fit = bench.fit(variation, setup.seed + seed, setup.steps, lambda moment: progress(moment.progress), trace, look)
    run = Run(
        variation=variation,
        seed=seed,
        steps=setup.steps,
        seconds=0.0,
        weights=sum(values.numel() for values in fit.network.parameters()),
        held_bytes=held_bytes(fit.network, bench.sampler(seed).draw(0)[0].to(bench.device)),
        curve=(),
        gradients=(),
    )
    try:
        fitted = fit.run()
    except DatasetError as error:  # twenty steps in a row without a finite loss
        return _told(run, fit.step, began, fit.history, trace, diverged=str(error))
    if fitted.interrupted:
        raise KeyboardInterrupt
    run = _told(run, fitted.steps, began, fitted.history, trace)
    if not all(bool(torch.isfinite(values).all()) for values in fitted.weights.values()):
        return run.model_copy(update={"diverged": "the weights are not finite"})
    network = build(bench.plan_of(variation).network)
    network.load_state_dict(fitted.weights)
    return run.model_copy(update=_looked_into(bench, variation, network.to(bench.device).eval(), seed == 0))


def _told(
    run: Run, steps: int, began: float, history: Sequence[Row], trace: GradientTrace, diverged: str | None = None
) -> Run:
    """With the way there; losses that are not finite cannot be written, and are left out."""
    points = [Point.model_validate(row) for row in history]
    kept = tuple(_rounded(point) for point in points if isfinite(point.loss))
    finite = tuple(norms for norms in trace.found if all(map(isfinite, norms.gradients)))
    seconds = round(time.monotonic() - began, 3)
    about = {"steps": steps, "seconds": seconds, "curve": kept, "gradients": finite, "diverged": diverged}
    return run.model_copy(update=about)


def _rounded(point: Point) -> Point:
    return Point(step=point.step, loss=round(point.loss, 5), dice=None if point.dice is None else round(point.dice, 4))


def _looked_into(bench: Bench, variation: Variation, network: nn.Module, first: bool) -> dict[str, object]:
    """Scores of the fitted network, its activations, and its skips."""
    tiles = torch.stack([bench.judge.tile_of(number) for number in range(2)]).to(bench.device)
    if bench.out is not None and variation == Variation() and first:
        keep_masks(bench.judge, network, bench.out)
    found: dict[str, object] = {
        "scores": bench.judge(network),
        "activations": activation_statistics(network, tiles),
    }
    if variation.skip == "none" or not variation.compares_skips:
        return found
    across = crossings(network, tiles)
    few = bench.judge.fewer(CUT_CASES)
    return found | {
        "whole": few(network),
        "cut": tuple(cut_skips(few, network)),
        "ranks": tuple(round(effective_rank(features), 3) for _, features in across),
        "crossing": tuple(features.shape[1] for _, features in across),
        "prices": skip_prices(network, tiles),
    }


def cut_skips(judge: Judge, network: nn.Module) -> list[CutSkip]:
    """Every skip of a trained network in turn, carrying nothing, and carrying what belongs to the next case."""
    found = []
    for place in range(len(joins_of(network))):
        with changed(network, place, zeroed):
            scores = judge(network)
        found.append(CutSkip(place=place, change="zeroed", scores=scores))
        found.append(CutSkip(place=place, change="shuffled", scores=_shuffled(judge, network, place)))
    return found


def _shuffled(judge: Judge, network: nn.Module, place: int) -> tuple[Score, ...]:
    return judge(network, lambda whole, number: OfAnother(whole, place, _next(judge, number)))


def _next(judge: Judge, number: int) -> Tensor:
    return judge.tile_of(number + 1)
