"""What is said of skip connections everywhere, and what a study's measurements say of it.

Every function of ``RULES`` is one claim, and its docstring the rule by which it is confirmed or refuted; the rules
were written before any study of real scans was made. An interval is a 95 % one. Whatever an interval leaves open is
undecided, and so is all that depends on training when there was one seed alone: then nobody knows what another would
have given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from inspect import getdoc
from math import log2

import numpy as np

from skipseg.training.judging.intervals import Interval, interval
from skipseg.training.reports.markup import between, number, signed
from skipseg.training.study import evidence as find
from skipseg.training.study.estimates import Estimate, above, below, median_of, of_draws, together, within
from skipseg.training.study.grid import DEEP, SHALLOW, Variation
from skipseg.training.study.records import Claim, Run, Study, Verdict
from skipseg.training.study.starts import CONDITIONS

KEPT = 1.0  # a ratio that changes by less than this power of ten has kept its magnitude
SMALL = 0.02  # of Dice: less is a small benefit
CHEAP = 0.1  # of the weights or the time of what a projection serves
FEWEST_SEEDS = 2


def judge_claims(study: Study) -> tuple[Claim, ...]:
    """All claims; what a study has not measured (yet) is undecided."""
    return tuple(claim for rule in RULES for claim in rule(study))


def shrinking(study: Study) -> Iterator[Claim]:
    """The relative gradient norm of the first layer by that of the last, as a power of ten, at random
    initialisations of plain networks, equally wide at every depth: its change from the shallowest to the deepest,
    draw by draw. Confirmed when the interval of the mean lies below 0, refuted when above."""
    for place, condition in enumerate(CONDITIONS, start=1):
        found = find.change_with_depth(study, condition, residual=False)
        yield _claim(
            f"a{place}",
            f"Without residual skips gradients of early layers shrink with depth ({condition.told})",
            f"from {_ends(study)} layers the ratio of first to last layer changes by 10^x, "
            f"x = {_told(found, 2, signed)}",
            found.interval,
            _of_starts(study),
            shrinking,
            below(found),
        )


def keeping(study: Study) -> Iterator[Claim]:
    """The same change in residual networks. Confirmed when its interval lies between -1 and 1, less than a factor of
    ten either way; refuted when it lies outside."""
    for place, condition in enumerate(CONDITIONS, start=1):
        found = find.change_with_depth(study, condition, residual=True)
        yield _claim(
            f"a{place + len(CONDITIONS)}",
            f"With residual skips they keep their magnitude ({condition.told})",
            f"from {_ends(study)} layers the ratio changes by 10^x, x = {_told(found, 2, signed)}",
            found.interval,
            _of_starts(study),
            keeping,
            within(found, KEPT),
        )


def saturating(study: Study) -> Iterator[Claim]:
    """The same ratio at the deepest plain network: that with sigmoids less that with ReLUs, as powers of ten, draw
    by draw. Confirmed when the interval lies below 0, refuted when above."""
    for place, condition in enumerate(CONDITIONS, start=1):
        relu, sigmoid = (find.ratios(study, condition, False, kind)[-1] for kind in ("relu", "sigmoid"))
        found = of_draws([s - r for r, s in zip(relu, sigmoid, strict=True)])
        yield _claim(
            f"b{place}",
            f"Sigmoids make the shrinking worse than ReLUs do ({condition.told})",
            f"at {max(study.setup.depths)} layers the ratio of first to last layer is 10^x times that with ReLUs, "
            f"x = {_told(found, 2, signed)}",
            found.interval,
            _of_starts(study),
            saturating,
            below(found),
        )


def converging(study: Study) -> Iterator[Claim]:
    """Steps until the smoothed training loss comes down to where the worse of two twins ends, in networks of 50 or
    more layers; one that diverges never gets there and counts all steps. The logarithm (to 2) of plain by residual,
    seed by seed. Confirmed when the interval of its mean over seeds lies above 0, refuted when below."""
    plain, residual = find.twins(study, _deepest(study))
    found = of_draws([log2(p / r) for p, r in map(find.steps_to_common_loss, plain, residual)])
    times = find.as_powers(found)
    yield _claim(
        "c1",
        f"Networks of {DEEP} and more layers converge faster with residual skips",
        f"at {_deepest(study)} layers the plain network takes {_told(times, 2)} times the steps of its residual twin "
        "to the same loss",
        times.interval,
        _of_seeds(plain),
        converging,
        _trained(above(found), plain),
    )


def steady(study: Study) -> Iterator[Claim]:
    """How far the Dice of each seed lies from the median of its variation (0 for one that diverges), in networks of
    50 or more layers: the mean of that for plain less that for residual ones, seeds drawn for both. Confirmed when
    the interval lies above 0, refuted when below."""
    twins = find.twins(study, _deepest(study))
    off = [np.abs(dices - np.median(dices)) if len(dices) else dices for dices in map(find.dice_of_seeds, twins)]
    found = find.difference_of_means(off[0], off[1])
    yield _claim(
        "c2",
        f"Networks of {DEEP} and more layers train more steadily with residual skips",
        f"at {_deepest(study)} layers the Dice of a seed lies {_told(found, 4, signed)} farther from the median "
        "without them",
        found.interval,
        _of_seeds(twins[0]),
        steady,
        _trained(above(found), twins[0]),
    )


def shallow(study: Study) -> Iterator[Claim]:
    """Dice of residual less plain twins of at most 8 layers, over seeds and cases, each depth by itself. Confirmed
    when all of every interval lies below 0.02, refuted when all of one lies above."""
    depths = [depth for depth in study.setup.depths if depth <= SHALLOW]
    for depth in depths:
        plain, residual = find.twins(study, depth)
        found = find.dice_difference(study, plain, residual)
        yield _claim(
            f"d{depth}",
            f"In a network of {depth} layers residual skips gain little",
            f"Dice {_told(found, 4, signed)} with them",
            found.interval,
            _of_cases(study, plain),
            shallow,
            _trained(below(found, SMALL), plain),
        )


def boundaries(study: Study) -> Iterator[Claim]:
    """Falls of means from concatenation to no skips across the U, each as a share of the mean with skips, over seeds
    and cases: that of surface Dice less that of Dice; that of HD95, which rises, less that of Dice. Confirmed when
    the interval of the boundary measure's own fall lies above 0, and that of the difference too; refuted when one
    of them lies below."""
    with_skips, without = (study.runs_of(Variation(skip=skip)) for skip in ("concat", "none"))
    with_skips, without = find.paired(with_skips, without)
    for key, measure, name in (("e1", "nsd_1mm", "surface Dice falls"), ("e2", "hd95_mm", "HD95 rises")):
        dice, of_dice = find.fall(study, "dice", with_skips, without)
        other, of_other = find.fall(study, measure, with_skips, without)
        gap = None if of_dice is None or of_other is None else interval(of_other - of_dice)
        value = None if dice.value is None or other.value is None else other.value - dice.value
        yield _claim(
            key,
            f"Without skips across the U fine detail suffers most: {name} more than Dice falls",
            f"Dice falls by {_percent(dice)}, {name} by {_percent(other)}",
            gap,
            _of_cases(study, with_skips),
            boundaries,
            _trained(together([above(other), above(Estimate(value, gap))]), with_skips),
        )


def concatenating(study: Study) -> Iterator[Claim]:
    """Accuracy: Dice of concatenation less that of addition, networks of equal weights, over seeds and cases.
    Memory: bytes held for the backward pass, at equal widths; counted, so without an interval. Time: the median over
    rounds of the ratio of a forward and a backward pass, at equal widths. Confirmed when concatenation has more (the
    interval lies above 0; for a ratio above 1), refuted when less."""
    add, concat = find.paired(*(study.runs_of(Variation(skip=skip)) for skip in ("add", "concat")))
    accuracy = find.dice_difference(study, add, concat)
    yield _claim(
        "f1",
        "Concatenation is more accurate than addition",
        f"Dice {_told(accuracy, 4, signed)} with concatenation",
        accuracy.interval,
        _of_cases(study, add),
        concatenating,
        _trained(above(accuracy), add),
    )
    prices = {price.skip: price for price in study.prices}
    if not {"concat", "add"} <= prices.keys():
        return
    a, b = prices["add"], prices["concat"]
    held = b.held_bytes / a.held_bytes
    yield _claim(
        "f2",
        "Concatenation takes more memory than addition",
        f"{b.held_bytes / 2**20:.1f} MiB against {a.held_bytes / 2**20:.1f} MiB held for the backward pass "
        f"({held:.2f} times), {b.weights:,} against {a.weights:,} weights",
        None,
        "counted",
        concatenating,
        "confirmed" if held > 1 else "refuted" if held < 1 else "undecided",
    )
    logs = median_of([log2(y / x) for x, y in zip(a.milliseconds, b.milliseconds, strict=True)])
    times = find.as_powers(logs)
    yield _claim(
        "f3",
        "Concatenation takes more time than addition",
        f"{_told(times, 2)} times the time of a forward and a backward pass",
        times.interval,
        f"{len(a.milliseconds)} rounds",
        concatenating,
        above(logs),
    )


def projecting(study: Study) -> Iterator[Claim]:
    """Needed: adding features of different numbers fails without one. Cheap: under a tenth of the weights, and of
    the time, of the convolutions it serves. Confirmed when it is needed, its weights are fewer and the interval of
    its median time lies below a tenth; refuted when it is not needed, they are more, or the interval lies above."""
    for place, price in enumerate(study.projections, start=1):
        share, milliseconds = median_of(price.milliseconds_share), median_of(price.milliseconds)
        yield _claim(
            f"g{place}",
            f"Where shapes disagree, the skip of a{'n' if price.where[0] in 'aeiou' else ''} {price.where} needs a "
            "projection, which is cheap",
            f"{price.features} features: adding them as they are {'fails' if price.refused else 'works'}; "
            f"{price.weights:,} weights ({price.weights_share:.1%} of what it serves), "
            f"{_told(milliseconds, 3)} ms ({_percent(share)})",
            share.interval,
            f"{len(price.milliseconds)} rounds",
            projecting,
            together([_if(price.refused), _if(price.weights_share < CHEAP), below(share, CHEAP)]),
        )


RULES: tuple[Callable[[Study], Iterator[Claim]], ...] = (
    shrinking,
    keeping,
    saturating,
    converging,
    steady,
    shallow,
    boundaries,
    concatenating,
    projecting,
)


def _claim(
    key: str,
    claim: str,
    measured: str,
    interval: Interval | None,
    samples: str,
    rule: Callable[[Study], Iterator[Claim]],
    verdict: Verdict,
) -> Claim:
    told = " ".join((getdoc(rule) or "").split())
    return Claim(
        key=key, claim=claim, measured=measured, interval=interval, samples=samples, rule=told, verdict=verdict
    )


def _trained(verdict: Verdict, runs: Sequence[Run]) -> Verdict:
    """A verdict on trained networks needs more than one training."""
    return verdict if len(runs) >= FEWEST_SEEDS else "undecided"


def _if(holds: bool) -> Verdict:
    return "confirmed" if holds else "refuted"


def _deepest(study: Study) -> int:
    return max(study.setup.depths)


def _told(found: Estimate, digits: int, write: Callable[[float | None, int], str] = number) -> str:
    off = f" ({between(found.interval, digits, write)})" if found.interval else ""
    return write(found.value, digits) + off


def _percent(found: Estimate) -> str:
    if found.value is None:
        return "–"
    off = found.interval and (100 * found.interval[0], 100 * found.interval[1])
    return f"{number(100 * found.value, 1)} %" + (f" ({between(off, 1)})" if off else "")


def _ends(study: Study) -> str:
    return f"{min(study.setup.depths)} to {max(study.setup.depths)}"


def _of_starts(study: Study) -> str:
    return f"{study.setup.starts} initialisations"


def _of_seeds(runs: Sequence[Run]) -> str:
    return _several(len(runs), "seed")


def _of_cases(study: Study, runs: Sequence[Run]) -> str:
    return f"{_several(len(runs), 'seed')}, {_several(len(study.setup.kept_out), 'case')}"


def _several(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")
