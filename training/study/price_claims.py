"""Claims on what skips cost, and on which kind is worth it."""

from __future__ import annotations

from collections.abc import Iterator
from math import log2

from skipseg.training.study import evidence as find
from skipseg.training.study.estimates import above, below, median_of, together
from skipseg.training.study.grid import Variation
from skipseg.training.study.prices import NetworkPrice, ProjectionPrice
from skipseg.training.study.records import Claim, Study, Verdict
from skipseg.training.study.telling import change, of_cases, percent, stated, told, trained

CHEAP = 0.1  # of the weights or the time of what a projection serves
MIB = 2**20


def concatenating(study: Study) -> Iterator[Claim]:
    """Accuracy: Dice of concatenation less that of addition, networks of equal weights, over seeds and cases.
    Memory: bytes held for the backward pass, at equal widths; counted, so without an interval. Time: the median over
    rounds of the ratio of a forward and a backward pass, at equal widths. Confirmed when concatenation has more (the
    interval lies above 0; for a ratio above 1), refuted when less."""
    add, concat = find.paired(*(study.runs_of(Variation(skip=skip)) for skip in ("add", "concat")))
    accuracy = find.dice_difference(study, add, concat)
    yield stated(
        concatenating,
        "f1",
        "Concatenation is more accurate than addition",
        f"Dice {change(accuracy, 4)} with concatenation",
        accuracy.interval,
        of_cases(study, add),
        trained(above(accuracy), add),
    )
    prices = {price.skip: price for price in study.prices}
    if {"concat", "add"} <= prices.keys():
        yield _memory(prices["add"], prices["concat"])
        yield _time(prices["add"], prices["concat"])


def _memory(add: NetworkPrice, concat: NetworkPrice) -> Claim:
    times = concat.held_bytes / add.held_bytes
    return stated(
        concatenating,
        "f2",
        "Concatenation takes more memory than addition",
        f"{concat.held_bytes / MIB:.1f} MiB against {add.held_bytes / MIB:.1f} MiB held for the backward pass "
        f"({times:.2f} times), {concat.weights:,} against {add.weights:,} weights",
        None,
        "counted",
        "undecided" if times == 1 else _if(times > 1),
    )


def _time(add: NetworkPrice, concat: NetworkPrice) -> Claim:
    logs = median_of([log2(b / a) for a, b in zip(add.milliseconds, concat.milliseconds, strict=True)])
    times = find.as_powers(logs)
    return stated(
        concatenating,
        "f3",
        "Concatenation takes more time than addition",
        f"{told(times, 2)} times the time of a forward and a backward pass",
        times.interval,
        f"{len(add.milliseconds)} rounds",
        above(logs),
    )


def projecting(study: Study) -> Iterator[Claim]:
    """Needed: adding features of different numbers fails without one. Cheap: under a tenth of the weights, and of
    the time, of the convolutions it serves. Confirmed when it is needed, its weights are fewer and the interval of
    its median time lies below a tenth; refuted when it is not needed, they are more, or the interval lies above."""
    for place, price in enumerate(study.projections, start=1):
        yield _projection(f"g{place}", price)


def _projection(key: str, price: ProjectionPrice) -> Claim:
    share, milliseconds = median_of(price.milliseconds_share), median_of(price.milliseconds)
    article = "an" if price.where[0] in "aeiou" else "a"
    return stated(
        projecting,
        key,
        f"Where shapes disagree, the skip of {article} {price.where} needs a projection, which is cheap",
        f"{price.features} features: adding them as they are {'fails' if price.refused else 'works'}; "
        f"{price.weights:,} weights ({100 * price.weights_share:.1f} % of what it serves), {told(milliseconds, 3)} ms "
        f"({percent(share)})",
        share.interval,
        f"{len(price.milliseconds)} rounds",
        together([_if(price.refused), _if(price.weights_share < CHEAP), below(share, CHEAP)]),
    )


def _if(holds: bool) -> Verdict:
    return "confirmed" if holds else "refuted"
