"""How claims put what was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from inspect import getdoc

from skipseg.training.judging.intervals import Interval
from skipseg.training.reports.markup import between, number, signed
from skipseg.training.study.estimates import Estimate
from skipseg.training.study.records import Claim, Run, Study, Verdict

FEWEST_SEEDS = 2

Rule = Callable[[Study], Iterator[Claim]]


def stated(
    rule: Rule, key: str, claim: str, measured: str, interval: Interval | None, samples: str, verdict: Verdict
) -> Claim:
    """A claim judged by ``rule``, whose docstring tells how."""
    told = " ".join((getdoc(rule) or "").split())
    return Claim(
        key=key, claim=claim, measured=measured, interval=interval, samples=samples, rule=told, verdict=verdict
    )


def trained(verdict: Verdict, runs: Sequence[Run]) -> Verdict:
    """A verdict on trained networks, which takes more than one training."""
    return verdict if len(runs) >= FEWEST_SEEDS else "undecided"


def told(found: Estimate, digits: int, write: Callable[[float | None, int], str] = number) -> str:
    """A value and its interval."""
    off = f" ({between(found.interval, digits, write)})" if found.interval else ""
    return write(found.value, digits) + off


def change(found: Estimate, digits: int) -> str:
    """The same of a difference."""
    return told(found, digits, signed)


def percent(found: Estimate) -> str:
    """The same of a share."""
    if found.value is None:
        return "–"
    off = found.interval and (100 * found.interval[0], 100 * found.interval[1])
    return f"{number(100 * found.value, 1)} %" + (f" ({between(off, 1)})" if off else "")


def of_seeds(runs: Sequence[Run]) -> str:
    """Sample sizes of what was trained."""
    return _several(len(runs), "seed")


def of_cases(study: Study, runs: Sequence[Run]) -> str:
    """Sample sizes of what was scored."""
    return f"{of_seeds(runs)}, {_several(len(study.setup.kept_out), 'case')}"


def of_starts(study: Study) -> str:
    """Sample sizes of what was not trained."""
    return f"{study.setup.starts} initialisations"


def _several(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")
