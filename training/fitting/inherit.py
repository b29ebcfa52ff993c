"""What a network takes over from one trained before: all of it, but for the classes that only one of them knows."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from skipseg.models.errors import UsageError
from skipseg.models.labels import Label, Labels
from skipseg.models.networks.recipes import NetworkRecipe, build
from skipseg.models.networks.unet import UNet
from skipseg.models.networks.weightless import weightless

Classes = tuple[int | None, ...]  # per class of one set of labels its class in another, None where it has none


def same_label(one: Label, other: Label) -> bool:
    """Whether two labels mean one thing: by their codes when both have one, else by name in any case of letters."""
    if 0 in (one.value, other.value):
        return one.value == other.value
    if one.code and other.code:
        return (one.code.scheme, one.code.value) == (other.code.scheme, other.code.value)
    return _plain(one.name) == _plain(other.name)


def classes_in(labels: Labels, others: Labels) -> Classes:
    """For each of ``labels`` the class of ``others`` that means the same; of several, the one of its name."""
    return tuple(_class_in(label, others) for label in labels.all)


def united(labels: Labels, *more: Labels) -> Labels:
    """``labels`` and what others add to them; an added label whose value is taken gets the next free one."""
    all_ = list(labels.all)
    added: list[Label] = []
    for label in (label for others in more for label in others.foreground):
        if not any(same_label(label, known) for known in (*all_, *added)):
            added.append(label)
    taken = {label.value for label in all_}
    for label in sorted(added, key=lambda label: label.value in taken):
        values, known = {one.value for one in all_}, {one.name for one in all_}
        value = max(values) + 1 if label.value in values else label.value
        name = f"{label.name} ({value})" if label.name in known else label.name
        all_.append(label.model_copy(update={"value": value, "name": name}))
    return Labels(all=tuple(sorted(all_, key=lambda label: label.value)))


def inherit(network: nn.Module, recipe: NetworkRecipe, trained: dict[str, Tensor], classes: Classes) -> None:
    """Give a freshly built network of ``recipe`` the weights of one that was trained with other classes.

    ``classes`` names for each class of the network the trained one's, None for a new one: heads get its row, and keep
    a fresh row for what is new; everything else is the same in both networks.
    """
    axes, state = class_axes(recipe), network.state_dict()
    for name, values in state.items():
        if name not in axes:
            values.copy_(trained[name])
            continue
        for ours, theirs in enumerate(classes):
            if theirs is not None:
                values.select(axes[name], ours).copy_(trained[name].select(axes[name], theirs))


def class_axes(recipe: NetworkRecipe) -> dict[str, int]:
    """The weights of a network that have a row per class, and along which axis: what another class would change."""
    with weightless():
        one = build(recipe).state_dict()
        other = build(recipe.model_copy(update={"classes": recipe.classes + 1})).state_dict()
    return {
        name: next(axis for axis, side in enumerate(values.shape) if side != other[name].shape[axis])
        for name, values in one.items()
        if values.shape != other[name].shape
    }


def freeze_encoder(network: nn.Module) -> tuple[int, int]:
    """Keep the contracting path and the bottom as they are; returns how many weights still learn, and of how many."""
    if not isinstance(network, UNet):
        raise UsageError("--freeze-encoder is for U-Nets; this network's encoder is not told apart: leave it out")
    for part in (network.contracting, network.bottom):
        part.requires_grad_(False)
    sizes = [(weights.numel(), weights.requires_grad) for weights in network.parameters()]
    return sum(size for size, learns in sizes if learns), sum(size for size, _ in sizes)


def names(labels: Sequence[Label]) -> str:
    """Labels as a list for people."""
    return ", ".join(label.name for label in labels) or "none"


def _class_in(label: Label, others: Labels) -> int | None:
    found = [place for place, other in enumerate(others.all) if same_label(label, other)]
    alike = [place for place in found if _plain(others.all[place].name) == _plain(label.name)]
    return next(iter(alike or found), None)


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()
