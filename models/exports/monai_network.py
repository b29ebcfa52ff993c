"""A bundle's network as MONAI's configuration names it, with the weights as that network calls them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from skipseg.models.bundle import Bundle
from skipseg.models.errors import BundleError
from skipseg.models.inference.backends.probe import probe
from skipseg.models.networks.borrowed import Borrowed, FilledUp, UNETRRecipe
from skipseg.models.networks.ensemble import network_of

OURS = "skipseg.models.networks.ensemble.network_of"


@dataclass(frozen=True)
class MonaiNetwork:
    """What ``_target_`` is called with, and the state dict of what comes back."""

    target: str
    arguments: dict[str, Any]
    state: dict[str, Tensor]

    @property
    def definition(self) -> dict[str, Any]:
        """As ``network_def`` has it."""
        return {"_target_": self.target, **self.arguments}

    @property
    def is_monais_own(self) -> bool:
        return self.target != OURS


def monai_network(bundle: Bundle) -> MonaiNetwork:
    """MONAI's own class where it answers as the bundle does, else ours, which asks for skipseg at the other end.

    Raises ``BundleError`` when the network, built anew from what is written, would answer otherwise.
    """
    network = bundle.network()
    found = _monais(bundle, network) if _is_monais(bundle) else _ours(bundle, network)
    tile = probe((len(bundle.plan.channels), *bundle.plan.tile))
    with torch.inference_mode():
        if not torch.equal(rebuilt(found)(tile), network(tile)):
            raise BundleError(f"{found.target} does not answer as the bundle's network; nothing was written")
    return found


def rebuilt(written: MonaiNetwork) -> nn.Module:
    """What a reader makes of it."""
    if not written.is_monais_own:
        network = network_of(**written.arguments)
    else:
        from monai.networks import nets

        network = getattr(nets, written.target)(**written.arguments)
    network.load_state_dict(written.state)
    return network.eval()


def _is_monais(bundle: Bundle) -> bool:
    """Whether MONAI's network alone sees what ours does: tiles that need nothing filled up."""
    recipe, tile = bundle.plan.network, bundle.plan.tile
    if bundle.manifest.members > 1 or not isinstance(recipe, Borrowed):
        return False
    if isinstance(recipe, UNETRRecipe):
        return tile == recipe.size
    return all(side % step == 0 for side, step in zip(tile, recipe.shrinks, strict=True))


def _monais(bundle: Bundle, network: nn.Module) -> MonaiNetwork:
    recipe = bundle.plan.network
    assert isinstance(recipe, Borrowed)
    assert isinstance(network, FilledUp)
    from monai.networks import nets

    plain = getattr(nets, recipe.monai)(**recipe.arguments)
    plain.load_state_dict(network.network.state_dict(), strict=False)  # MONAI gives some weights two names, or no use
    return MonaiNetwork(recipe.monai, as_json(recipe.arguments), _copied(plain))


def _ours(bundle: Bundle, network: nn.Module) -> MonaiNetwork:
    arguments = {"recipe": bundle.plan.network.model_dump(mode="json"), "members": bundle.manifest.members}
    return MonaiNetwork(OURS, arguments, _copied(network))


def _copied(network: nn.Module) -> dict[str, Tensor]:
    """Each in memory of its own, as safetensors wants them."""
    return {name: values.detach().clone().contiguous() for name, values in network.state_dict().items()}


def as_json(arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments as JSON brings them back: lists for tuples."""
    return {name: _listed(value) for name, value in arguments.items()}


def _listed(value: Any) -> Any:
    return [_listed(one) for one in value] if isinstance(value, tuple) else value
