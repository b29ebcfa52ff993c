"""A plan as a file of choices that a person may edit and give back (`overrides.py` reads it)."""

from __future__ import annotations

import json
from typing import Any

from skipseg.models.plan import Channel
from skipseg.training.planning.overrides import AS_STORED, Overrides
from skipseg.training.planning.planner import TrainingPlan

OF_A_NETWORK = (
    *("features", "widths", "strides", "kernels", "blocks", "block"),
    *("residual", "skip", "activation", "norm", "deep_supervision"),
)


def choices_of(training: TrainingPlan) -> str:
    """Every choice of a plan as JSON; reading it back and planning with it gives the same plan."""
    plan, network = training.plan, training.plan.network
    chosen: dict[str, Any] = {
        "dimensions": plan.dimensions,
        "orientation": plan.orientation or AS_STORED,
        "spacing": plan.spacing or AS_STORED,
        "crop_to_content": plan.crop_to_content,
        "normalisation": {channel.name: _normalisation(channel) for channel in plan.channels},
        "series": {channel.name: series for channel in plan.channels if (series := _series(channel))},
        "patch": plan.tile,
        "overlap": plan.overlap,
        "cleanup": plan.cleanup,
        "batch": training.batch,
        "network": network.kind,
        **{name: getattr(network, name) for name in OF_A_NETWORK if hasattr(network, name)},
        "flips": training.flips,
        "whole_batch_dice": training.whole_batch_dice,
        "learning_rate": training.learning_rate,
    }
    given = Overrides.model_validate({name: choice for name, choice in chosen.items() if choice is not None})
    about = {"reasons": training.reasons, "memory_bytes": training.memory_bytes}
    about |= {"expected": training.expected.model_dump()} if training.expected else {}
    return _compact({"about": about, **given.model_dump(mode="json", exclude_none=True)})


def _normalisation(channel: Channel) -> dict[str, Any]:
    if channel.normalisation == "fixed":
        return {"method": "fixed", "low": channel.low, "high": channel.high, "mean": channel.mean, "std": channel.std}
    if channel.clip_percent is not None:
        return {"method": "robust", "clip_percent": channel.clip_percent}
    return {"method": "zscore"}


def _series(channel: Channel) -> dict[str, Any]:
    return channel.model_dump(include={"modality", "description"})


def _compact(fields: dict[str, Any]) -> str:
    """JSON with one line a field, but for what it is about."""

    def text(name: str, value: Any) -> str:
        return json.dumps(value, indent=2).replace("\n", "\n  ") if name == "about" else json.dumps(value)

    return "{\n" + ",\n".join(f"  {json.dumps(name)}: {text(name, value)}" for name, value in fields.items()) + "\n}"
