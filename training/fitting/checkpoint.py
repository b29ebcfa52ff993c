"""Everything a fit needs to go on, in one file that is whole or absent. Tensors as safetensors, the rest as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from skipseg.training.fitting.schedule import CoolDown


@dataclass(frozen=True)
class Checkpoint:
    """A moment of a fit."""

    step: int
    seconds: float  # of the budget spent
    history: list[dict[str, float | None]]
    network: dict[str, Tensor]
    average: dict[str, Tensor]
    optimiser: dict[int, dict[str, Tensor]]  # its state per parameter
    cooling: CoolDown | None = None


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write atomically: a crash leaves the checkpoint before this one. Raises ``OSError``, as when the disk is full."""
    tensors: dict[str, Tensor] = {}
    for part in ("network", "average"):
        tensors |= {f"{part}/{name}": values for name, values in getattr(checkpoint, part).items()}
    for index, state in checkpoint.optimiser.items():
        tensors |= {f"optimiser/{index}/{name}": values for name, values in state.items()}
    told: dict[str, Any] = {"step": checkpoint.step, "seconds": checkpoint.seconds, "history": checkpoint.history}
    told["cooling"] = asdict(checkpoint.cooling) if checkpoint.cooling else None
    draft = path.with_suffix(".writing")
    try:
        pieces = {name: values.detach().cpu().contiguous() for name, values in tensors.items()}
        save_file(pieces, draft, {"checkpoint": json.dumps(told)})
    except SafetensorError as error:
        draft.unlink(missing_ok=True)
        raise OSError(str(error)) from error
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
    cooling = CoolDown(**told["cooling"]) if told.get("cooling") else None
    return Checkpoint(told["step"], told["seconds"], told["history"], network, average, optimiser, cooling)


def restore_optimiser(
    optimiser: torch.optim.Optimizer,
    state: dict[int, dict[str, Tensor]],
    parts: Callable[[dict[str, Tensor], dict[str, Tensor]], dict[str, Tensor]],
) -> None:
    """Put an optimiser's state back; parameters keep their order.

    ``parts(state, like)`` gives of each tensor what this process holds, where ``like`` is the parameter.
    """
    parameters = [weights for group in optimiser.param_groups for weights in group["params"]]
    held = {index: _held(values, parameters[index], parts) for index, values in state.items()}
    optimiser.load_state_dict({"state": held, "param_groups": optimiser.state_dict()["param_groups"]})


def _held(
    state: dict[str, Tensor],
    weights: Tensor,
    parts: Callable[[dict[str, Tensor], dict[str, Tensor]], dict[str, Tensor]],
) -> dict[str, Tensor]:
    """Entries of the parameter's shape as it is held; counters are everybody's, and stay on the CPU."""
    shaped = {name: values for name, values in state.items() if values.shape == weights.shape}
    return state | parts(shaped, dict.fromkeys(shaped, weights))
