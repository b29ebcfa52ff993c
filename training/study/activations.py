"""What a network's activations leave behind, and what it holds for its backward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from skipseg.models.networks.kit import ACTIVATIONS

KINDS = tuple(type(make(False)) for make in ACTIVATIONS.values())


class ActivationStatistics(BaseModel):
    """Over all values that each activation gave for some images, one number an activation."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")

    layers: tuple[str, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    zeros: tuple[float, ...]  # share of values that are exactly 0


@torch.no_grad()
def activation_statistics(network: nn.Module, images: Tensor) -> ActivationStatistics:
    """One forward pass of images (N, C, *spatial); layers in the order in which they gave their answers."""
    rows: list[tuple[str, float, float, float]] = []

    def note(name: str) -> Callable[[nn.Module, object, Tensor], None]:
        def look(_: nn.Module, __: object, output: Tensor) -> None:
            values = output.detach().float()
            zeros = (values == 0).float().mean()
            rows.append((name, float(values.mean()), float(values.std()), float(zeros)))

        return look

    with hooked([m.register_forward_hook(note(n)) for n, m in network.named_modules() if isinstance(m, KINDS)]):
        network(images)
    layers, mean, deviation, zeros = zip(*rows, strict=True) if rows else ((), (), (), ())
    return ActivationStatistics(layers=layers, mean=mean, deviation=deviation, zeros=zeros)


def held_bytes(network: nn.Module, images: Tensor) -> int:
    """What a forward pass keeps in memory for the backward pass, weights left out; every storage counts once."""
    own = {values.untyped_storage().data_ptr() for values in (*network.parameters(), *network.buffers())}
    kept: dict[int, int] = {}

    def pack(values: Tensor) -> Tensor:
        storage = values.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return values

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda values: values):
        answer = network(images)  # held, so that no storage is freed and taken again while they are counted
    del answer
    return sum(count for place, count in kept.items() if place not in own)


@contextmanager
def hooked(hooks: list[torch.utils.hooks.RemovableHandle]) -> Iterator[None]:
    """Hooks are taken off again at the end of the block."""
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
