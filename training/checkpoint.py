"""Everything a fit needs to go on, in one file that is whole or absent. Tensors as safetensors, the rest as JSON."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor


@dataclass(frozen=True)
class Checkpoint:
    """A moment of a fit."""

    step: int
    seconds: float  # of the budget spent
    history: list[dict[str, float | None]]
    network: dict[str, Tensor]
    average: dict[str, Tensor]
    optimiser: dict[int, dict[str, Tensor]]  # AdamW's state per parameter


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write atomically: a crash leaves the checkpoint before this one."""
    tensors: dict[str, Tensor] = {}
    for part in ("network", "average"):
        tensors |= {f"{part}/{name}": values for name, values in getattr(checkpoint, part).items()}
    for index, state in checkpoint.optimiser.items():
        tensors |= {f"optimiser/{index}/{name}": values for name, values in state.items()}
    told = json.dumps({"step": checkpoint.step, "seconds": checkpoint.seconds, "history": checkpoint.history})
    draft = path.with_suffix(".writing")
    save_file(
        {name: values.detach().cpu().contiguous() for name, values in tensors.items()}, draft, {"checkpoint": told}
    )
    with draft.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(draft, path)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read what ``save_checkpoint`` wrote, on the CPU."""
    network: dict[str, Tensor] = {}
    average: dict[str, Tensor] = {}
    optimiser: dict[int, dict[str, Tensor]] = {}
    with safe_open(path, "pt") as file:
        told: dict[str, Any] = json.loads(file.metadata()["checkpoint"])
        for key in file.keys():  # noqa: SIM118 - not a dictionary
            part, _, name = key.partition("/")
            if part == "optimiser":
                index, _, entry = name.partition("/")
                optimiser.setdefault(int(index), {})[entry] = file.get_tensor(key)
            else:
                (network if part == "network" else average)[name] = file.get_tensor(key)
    return Checkpoint(told["step"], told["seconds"], told["history"], network, average, optimiser)


def restore_optimiser(optimiser: torch.optim.Optimizer, state: dict[int, dict[str, Tensor]]) -> None:
    """Put an optimiser's state back; parameters keep their order."""
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
