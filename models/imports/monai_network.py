"""The network of a MONAI bundle: one of the allow-listed ones, whose every argument is understood."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from skipseg.models.errors import BundleError
from skipseg.models.exports.monai_network import MonaiNetwork, as_json, rebuilt
from skipseg.models.inference.backends.probe import TOLERANCE, difference, probe
from skipseg.models.networks.recipes import NetworkRecipe, UNetRecipe, build
from skipseg.models.plan import Plan

COMMON = {"spatial_dims": "dimensions", "in_channels": "channels", "out_channels": "classes"}
FIELDS: Mapping[str, dict[str, str]] = {  # MONAI's argument -> the recipe's field, by class; others follow from these
    "SegResNet": {"init_filters": "features", "blocks_down": "down", "blocks_up": "up"},
    "SwinUNETR": {"depths": "depths", "num_heads": "heads", "window_size": "window", "feature_size": "features"},
    "UNETR": {"img_size": "size", "feature_size": "features", "hidden_size": "hidden", "num_heads": "heads"},
    "DynUNet": {"kernel_size": "kernels", "strides": "strides", "filters": "widths", "res_block": "residual"},
    "AttentionUnet": {"channels": "widths"},
}
PREFIX = "network."  # of FilledUp


def recipe_of(definition: Mapping[str, Any]) -> NetworkRecipe:
    """The recipe that makes this very ``network_def``; raises ``BundleError``, and pydantic's ``ValidationError``."""
    target = definition["_target_"]
    if target not in FIELDS:
        raise BundleError(f"network_def must name one of {', '.join(FIELDS)}; got {str(target)[:100]!r}")
    fields = COMMON | FIELDS[target]
    given = {fields[name]: value for name, value in definition.items() if name in fields}
    recipe: NetworkRecipe = TypeAdapter(NetworkRecipe).validate_python({"kind": target.lower(), **given})
    assert not isinstance(recipe, UNetRecipe)
    wanted = {"_target_": target, **as_json(recipe.arguments)}
    for name in sorted(definition.keys() | wanted.keys()):
        found = definition.get(name)
        if found != wanted.get(name):
            raise BundleError(
                f"network_def has {name} = {str(found)[:100]}; only {wanted.get(name)} is understood there"
            )
    return recipe


def state_of(weights: Path, plan: Plan, definition: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights as our network calls them, once both networks were seen to answer alike; raises ``BundleError``."""
    try:
        given = load_file(weights)
        arguments = {name: value for name, value in definition.items() if name != "_target_"}
        theirs = rebuilt(MonaiNetwork(definition["_target_"], arguments, given))
        ours = build(plan.network)
        ours.load_state_dict({name: given[name.removeprefix(PREFIX)] for name in ours.state_dict()})
    except (OSError, SafetensorError):
        raise BundleError("weights are read from models/model.safetensors alone; it is missing or damaged") from None
    except (RuntimeError, KeyError) as error:
        raise BundleError(f"the weights do not fit network_def: {str(error)[:300]}") from None
    tile = probe((len(plan.channels), *plan.tile))
    with torch.inference_mode():
        if not difference(ours.eval()(tile), theirs(tile)) <= TOLERANCE["fp32"]:
            raise BundleError("the weights make another network of network_def than of its recipe")
    return ours.state_dict()
