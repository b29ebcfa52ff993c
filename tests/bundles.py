"""Small bundles with untrained weights: everything about geometry and serving can be told with them."""

from collections.abc import Sequence
from pathlib import Path

import torch

from skipseg.models.bundle import Bundle, TrainingRecord, save_bundle
from skipseg.models.labels import Labels
from skipseg.models.networks.ensemble import joined
from skipseg.models.networks.recipes import UNetRecipe, build
from skipseg.models.plan import Channel, Plan


def small_recipe(dimensions: int = 3, channels: int = 1, classes: int = 3, **changes: object) -> UNetRecipe:
    fields = {
        "dimensions": dimensions,
        "channels": channels,
        "classes": classes,
        "widths": (4, 6, 8),
        "strides": ((1,) * dimensions, (2,) * dimensions, (2,) * dimensions),
        "kernels": ((3,) * dimensions,) * 3,
        "blocks": (0, 1, 1),
    }
    return UNetRecipe(**{**fields, **changes})


def small_plan(dimensions: int = 3, channel_count: int = 1, classes: int = 3, **changes: object) -> Plan:
    fields = {
        "dimensions": dimensions,
        "channels": tuple(Channel(name=f"channel {i}") for i in range(channel_count)),
        "orientation": "RAS" if dimensions == 3 else None,
        "spacing": None,
        "tile": (16,) * dimensions,
        "network": small_recipe(dimensions, channel_count, classes),
    }
    return Plan(**{**fields, **changes})


def small_bundle(folder: Path, plan: Plan | None = None, name: str = "small", seed: int = 0) -> Bundle:
    plan = plan or small_plan()
    torch.manual_seed(seed)
    return save_bundle(
        folder,
        build(plan.network).state_dict(),
        lambda manifest: f"# {manifest.name}\n",
        name=name,
        task="nothing: its weights are random",
        labels=Labels.from_names({0: "background"} | {i: f"label {i}" for i in range(1, plan.network.classes)}),
        plan=plan,
        training=TrainingRecord(
            dataset="none",
            dataset_sha256="0" * 64,
            cases=(),
            validation_cases=(),
            seed=seed,
            steps=0,
            minutes=0,
            device="cpu",
            precision="fp32",
        ),
    )


def ensemble_of(bundles: Sequence[Bundle], folder: Path) -> Bundle:
    """The networks of bundles of one plan as one bundle, called like the first."""
    fields = {name: getattr(bundles[0].manifest, name) for name in ("name", "task", "labels", "plan", "training")}
    states = [bundle.network().state_dict() for bundle in bundles]
    return save_bundle(folder, joined(states), lambda manifest: f"# {manifest.name}\n", members=len(bundles), **fields)
