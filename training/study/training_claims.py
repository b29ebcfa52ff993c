"""Claims on what networks learn."""

from __future__ import annotations

from collections.abc import Iterator
from math import log2

import numpy as np

from skipseg.training.study import evidence as find
from skipseg.training.study.estimates import Estimate, above, below, difference_of_means, of_draws, together
from skipseg.training.study.grid import DEEP, SHALLOW, Variation
from skipseg.training.study.records import Claim, Study
from skipseg.training.study.telling import change, of_cases, of_seeds, percent, stated, told, trained

FEWEST_FOR_A_SPREAD = 3  # seeds
SMALL = 0.02  # of Dice: less is a small benefit


def converging(study: Study) -> Iterator[Claim]:
    """Steps until the smoothed training loss comes down to where the worse of two twins ends, in networks of 50 or
    more layers; one that diverges never gets there and counts twice all steps. The logarithm (to 2) of plain by
    residual, seed by seed. Confirmed when the interval of its mean over seeds lies above 0, refuted when below."""
    depth = max(study.setup.depths)
    plain, residual = find.twins(study, depth)
    found = of_draws([log2(p / r) for p, r in map(find.steps_to_common_loss, plain, residual)])
    times = find.as_powers(found)
    yield stated(
        converging,
        "c1",
        f"Networks of {DEEP} and more layers converge faster with residual skips",
        f"at {depth} layers the plain network takes {told(times, 2)} times the steps of its residual twin to the same "
        "loss",
        times.interval,
        of_seeds(plain),
        trained(above(found), plain),
    )


def steady(study: Study) -> Iterator[Claim]:
    """How far the Dice of each seed lies from the median of its variation (0 for one that diverges), in networks of
    50 or more layers: the mean of that for plain less that for residual ones (the test of Brown and Forsythe, 1974,
    as an interval). Of two seeds both lie equally far from their median, so it takes three. Confirmed when it lies
    above 0, refuted when below."""
    depth = max(study.setup.depths)
    twins = find.twins(study, depth)
    off = [np.abs(dices - np.median(dices)) if len(dices) else dices for dices in map(find.dice_of_seeds, twins)]
    found = difference_of_means(off[0], off[1])
    if len(twins[0]) < FEWEST_FOR_A_SPREAD:
        found = Estimate(found.value)
    yield stated(
        steady,
        "c2",
        f"Networks of {DEEP} and more layers train more steadily with residual skips",
        f"at {depth} layers the Dice of a seed lies {change(found, 4)} farther from the median without them",
        found.interval,
        of_seeds(twins[0]),
        trained(above(found), twins[0]),
    )


def shallow(study: Study) -> Iterator[Claim]:
    """Dice of residual less plain twins of at most 8 layers, over seeds and cases, each depth by itself. Confirmed
    when all of the interval lies below 0.02, refuted when above."""
    for depth in (depth for depth in study.setup.depths if depth <= SHALLOW):
        plain, residual = find.twins(study, depth)
        found = find.dice_difference(study, plain, residual)
        yield stated(
            shallow,
            f"d{depth}",
            f"In a network of {depth} layers residual skips gain little",
            f"Dice {change(found, 4)} with them",
            found.interval,
            of_cases(study, plain),
            trained(below(found, SMALL), plain),
        )


def boundaries(study: Study) -> Iterator[Claim]:
    """Falls of means from concatenation to no skips across the U, each as a share of the mean with skips, over seeds
    and cases: that of surface Dice less that of Dice; that of HD95, which rises, less that of Dice. Confirmed when
    the interval of the boundary measure's own fall lies above 0, and that of the difference too; refuted when one
    of them lies below. HD95 is over the cases in which both networks found every label."""
    concat, none = find.paired(*(study.runs_of(Variation(skip=skip)) for skip in ("concat", "none")))
    dice = find.fall(study, "dice", concat, none)
    for key, measure, name in (("e1", "nsd_1mm", "surface Dice falls"), ("e2", "hd95_mm", "HD95 rises")):
        other = find.fall(study, measure, concat, none)
        gap = (other - dice).estimate()
        yield stated(
            boundaries,
            key,
            f"Without skips across the U fine detail suffers most: {name} more than Dice falls",
            f"Dice falls by {percent(dice.estimate())}, {name} by {percent(other.estimate())}",
            gap.interval,
            of_cases(study, concat),
            trained(together([above(other.estimate()), above(gap)]), concat),
        )
