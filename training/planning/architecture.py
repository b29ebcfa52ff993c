"""The network of a size: its patch, and everything its recipe asks for."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from skipseg.models.errors import PlanError
from skipseg.models.networks.borrowed import (
    AttentionUnetRecipe,
    DynUNetRecipe,
    SegResNetRecipe,
    SwinUNETRRecipe,
    UNETRRecipe,
)
from skipseg.models.networks.recipes import NetworkRecipe, UNetRecipe
from skipseg.training.planning.effort import Effort
from skipseg.training.planning.fingerprint import Fingerprint
from skipseg.training.planning.grids import Grid
from skipseg.training.planning.overrides import Overrides
from skipseg.training.planning.pyramid import Steps, divisors, kernels_for, pyramid, shortened, whole

BORROWED = ("segresnet", "swinunetr", "unetr", "attentionunet")  # shaped unlike a pyramid of strides
HEADS, HEAD_WIDTH = 6 / 16, 64  # of a UNETR: heads a feature of the other networks, and features of each


def network_for(
    fingerprint: Fingerprint, effort: Effort, grid: Grid, stem: Steps | None, voxels: float, given: Overrides
) -> tuple[Steps, NetworkRecipe]:
    """The patch of at most so many ``voxels`` that suits data and network, and the network.

    Raises ``PlanError`` for choices of a person's that contradict each other.
    """
    wanted = given.patch or shortened(grid.shape, grid.millimetres, voxels)
    if given.network in BORROWED:
        return _borrowed(fingerprint, effort, wanted, given)
    widths = given.widths or effort.widths[fingerprint.dimensions]
    stem = None if given.network == "dynunet" else stem  # it has no way back up from one
    if given.strides:
        strides, kernels = list(given.strides), kernels_for(given.strides, wanted, grid.millimetres)
    else:
        strides, kernels = pyramid(wanted, grid.millimetres, _most(given) or len(widths), stem)
    depth = len(strides)
    _check_depth(given, depth)
    patch = _patch(given, wanted, divisors(strides))
    pyramids: dict[str, Any] = {
        "widths": (*widths, *[widths[-1]] * depth)[:depth],
        "strides": tuple(strides),
        "kernels": given.kernels or tuple(kernels),
    }
    if given.network == "dynunet":
        return patch, DynUNetRecipe(**_ends(fingerprint), **pyramids, **_chosen(given, ("residual",)))
    blocks = given.blocks or (0, *(1,) * (depth - 1))
    kinds = _chosen(given, ("block", "residual", "skip", "activation", "norm", "deep_supervision"))
    return patch, UNetRecipe(**_ends(fingerprint), **pyramids, blocks=blocks, **kinds)


def _borrowed(
    fingerprint: Fingerprint, effort: Effort, wanted: Sequence[float], given: Overrides
) -> tuple[Steps, NetworkRecipe]:
    """A network of MONAI's, as wide as the size's own would be; its patch divides by what it shrinks."""
    features = given.features or effort.widths[fingerprint.dimensions][0]
    ends = _ends(fingerprint)
    recipe: NetworkRecipe
    if given.network == "segresnet":
        recipe = SegResNetRecipe(**ends, features=_multiple(features, 8))
    elif given.network == "swinunetr":
        recipe = SwinUNETRRecipe(**ends, features=_multiple(features, 12))
    elif given.network == "attentionunet":
        recipe = AttentionUnetRecipe(**ends, widths=given.widths or effort.widths[fingerprint.dimensions][:4])
    else:
        steps, heads = (16,) * fingerprint.dimensions, max(round(HEADS * features), 1)
        size = _patch(given, given.patch or _near(wanted, steps, 2), steps)
        return size, UNETRRecipe(**ends, size=size, features=features, heads=heads, hidden=HEAD_WIDTH * heads)
    return _patch(given, given.patch or _near(wanted, recipe.shrinks, 1), recipe.shrinks), recipe


def _ends(fingerprint: Fingerprint) -> dict[str, Any]:
    """What goes in and comes out of every network."""
    return {
        "dimensions": fingerprint.dimensions,
        "channels": len(fingerprint.channels),
        "classes": len(fingerprint.labels) + 1,
    }


def _chosen(given: Overrides, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(given, name) for name in names if getattr(given, name) is not None}


def _multiple(features: int, of: int) -> int:
    return max(round(features / of), 1) * of


def _near(wanted: Sequence[float], steps: Sequence[int], least: int) -> Steps:
    """The multiples of ``steps`` nearest to what was wanted, of which one voxel alone at the bottom is too little."""
    counts = [max(round(side / step), least) for side, step in zip(wanted, steps, strict=True)]
    if prod(counts) == 1:
        counts[wanted.index(max(wanted))] = 2
    return tuple(count * step for count, step in zip(counts, steps, strict=True))


def _most(given: Overrides) -> int:
    """Resolutions that a person's choices ask for; 0 when they ask for none."""
    return max(len(entries or ()) for entries in (given.widths, given.kernels, given.blocks))


def _check_depth(given: Overrides, depth: int) -> None:
    if (asked := _most(given)) and asked != depth:
        name = next(name for name in ("widths", "kernels", "blocks") if getattr(given, name))
        raise PlanError(
            f"plan file: {name} has {asked} entries, but patches of this size are halved to {depth} resolutions; give "
            f"{depth} entries, a larger patch, or strides of {asked} entries"
        )


def _patch(given: Overrides, wanted: Sequence[float], steps: Steps) -> Steps:
    """What was asked for if ``steps`` divide it; otherwise rounded up to what they do."""
    rounded = whole(wanted, steps)
    if given.patch and given.patch != rounded:
        raise PlanError(
            f"plan file: patch {list(given.patch)} is not a multiple of what the strides divide it by, "
            f"{list(steps)}; {list(rounded)} is"
        )
    return rounded
