"""Claims on gradients before any training."""

from __future__ import annotations

from collections.abc import Iterator

from skipseg.training.study.estimates import below, of_draws, within
from skipseg.training.study.evidence import change_with_depth, ratios
from skipseg.training.study.records import Claim, Study
from skipseg.training.study.starts import ACTIVATIONS, CONDITIONS
from skipseg.training.study.telling import change, of_starts, stated

KEPT = 1.0  # a ratio that changes by less than this power of ten has kept its magnitude


def shrinking(study: Study) -> Iterator[Claim]:
    """The relative gradient norm of the first layer by that of the last, as a power of ten, at random
    initialisations of plain networks with ReLUs, equally wide at every depth: its change from the shallowest to the
    deepest, draw by draw. Confirmed when the interval of the mean lies below 0, refuted when above."""
    for place, condition in enumerate(CONDITIONS, start=1):
        found = change_with_depth(study, condition, residual=False)
        yield stated(
            shrinking,
            f"a{place}",
            f"Without residual skips gradients of early layers shrink with depth ({condition.told})",
            f"from {_ends(study)} layers the ratio of first to last layer changes by 10^x, x = {change(found, 2)}",
            found.interval,
            of_starts(study),
            below(found),
        )


def keeping(study: Study) -> Iterator[Claim]:
    """The same change in residual networks. Confirmed when its interval lies between -1 and 1, less than a factor of
    ten either way; refuted when it lies outside."""
    for place, condition in enumerate(CONDITIONS, start=1 + len(CONDITIONS)):
        found = change_with_depth(study, condition, residual=True)
        yield stated(
            keeping,
            f"a{place}",
            f"With residual skips gradients of early layers keep their magnitude ({condition.told})",
            f"from {_ends(study)} layers the ratio of first to last layer changes by 10^x, x = {change(found, 2)}",
            found.interval,
            of_starts(study),
            within(found, KEPT),
        )


def saturating(study: Study) -> Iterator[Claim]:
    """The same ratio at the deepest plain network: that with sigmoids less that with ReLUs, as powers of ten, draw
    by draw; a ratio below 10^-30 counts as that. Confirmed when the interval lies below 0, refuted when above."""
    for place, condition in enumerate(CONDITIONS, start=1):
        relu, sigmoid = (ratios(study, condition, False, kind)[-1] for kind in ACTIVATIONS)
        found = of_draws([s - r for r, s in zip(relu, sigmoid, strict=True)])
        yield stated(
            saturating,
            f"b{place}",
            f"Sigmoids make gradients of early layers smaller than ReLUs do ({condition.told})",
            f"at {max(study.setup.depths)} plain layers the ratio of first to last layer is 10^x times that with "
            f"ReLUs, x = {change(found, 2)}",
            found.interval,
            of_starts(study),
            below(found),
        )


def _ends(study: Study) -> str:
    return f"{min(study.setup.depths)} to {max(study.setup.depths)}"
