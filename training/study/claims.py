"""What is said of skip connections everywhere, and what a study's measurements say of it.

Every rule is one claim, and its docstring tells by what it is confirmed or refuted; rules were settled after two small
trials and before any study that is reported. An interval is a 95 % one. Whatever an interval leaves open is undecided,
and so is all that depends on training when there was one seed alone: then nobody knows what another would have given.
"""

from __future__ import annotations

from skipseg.training.study.gradient_claims import keeping, saturating, shrinking
from skipseg.training.study.price_claims import concatenating, projecting
from skipseg.training.study.records import Claim, Study
from skipseg.training.study.telling import Rule
from skipseg.training.study.training_claims import boundaries, converging, shallow, steady

RULES: tuple[Rule, ...] = (
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


def judge_claims(study: Study) -> tuple[Claim, ...]:
    """All claims; what a study has not measured (yet) is undecided."""
    return tuple(claim for rule in RULES for claim in rule(study))
