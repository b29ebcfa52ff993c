"""Norms of gradients, layer by layer: of any network, in any training."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from skipseg.models.networks.kit import WEIGHTED
from skipseg.training.fitting.parallel import whole

INSTRUMENTS = "instruments.csv"
COLUMNS = ("step", "layer", "gradient_norm", "weight_norm", "relative")
MOMENTS = 10  # of a training at which a table is written
WRAPPERS = ("_forward_module.", "module.")  # put around a network that several processes train
BESIDE = ("skip", "joins", "rising", "head", "coarse_heads")  # parts whose layers do not count as depth


class GradientNorms(BaseModel):
    """Euclidean norms at one step, one number a layer; a layer is a convolution's weights."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")

    step: int
    layers: tuple[str, ...]  # in the order they are built in, which for a U-Net is that of the forward pass
    gradients: tuple[float, ...]
    weights: tuple[float, ...]

    @property
    def relative(self) -> tuple[float, ...]:
        """Gradient norms by the weights' own: how much of a layer a step of gradient descent would change."""
        return tuple(float(f"{g / max(w, 1e-30):.5g}") for g, w in zip(self.gradients, self.weights, strict=True))

    def along(self) -> tuple[float, ...]:
        """Relative norms of the layers that make the network deep, first to last."""
        return tuple(norm for layer, norm in zip(self.layers, self.relative, strict=True) if counts_as_depth(layer))

    @property
    def ratio(self) -> float:
        """That of the first layer by that of the last."""
        norms = self.along()
        return norms[0] / max(norms[-1], 1e-30)


def convolutions(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Names and weights of all convolutions."""
    for name, module in network.named_modules():
        if isinstance(module, WEIGHTED):
            for wrapper in WRAPPERS:
                name = name.removeprefix(wrapper)
            yield name, module.weight


def counts_as_depth(layer: str) -> bool:
    """Whether a layer of a U-Net is one of those that its depth counts."""
    return not set(BESIDE) & set(layer.split("."))


def gradient_norms(network: nn.Module, step: int = 0) -> GradientNorms:
    """After a backward pass; layers that it did not reach have 0."""
    layers, gradients, weights = [], [], []
    for name, values in convolutions(network):
        layers.append(name)
        gradients.append(0.0 if values.grad is None else _norm(values.grad))
        weights.append(_norm(values))
    return GradientNorms(step=step, layers=tuple(layers), gradients=tuple(gradients), weights=tuple(weights))


def _norm(values: Tensor) -> float:
    """Five digits, which is more than it repeats by."""
    return float(f"{float(whole(values).detach().float().norm()):.5g}")


class GradientTrace:
    """An instrument of the fitting loop that keeps the norms at given shares of the progress, the first step's too."""

    def __init__(self, shares: Sequence[float] = (0.0, 0.1, 0.3, 0.6, 0.9)) -> None:
        self.due = sorted(shares)
        self.found: list[GradientNorms] = []

    def __call__(self, network: nn.Module, step: int, progress: float) -> None:
        if self.due and progress >= self.due[0]:
            self.due = [share for share in self.due if share > progress]
            self.keep(gradient_norms(network, step))

    def keep(self, norms: GradientNorms) -> None:
        """Take in what was measured."""
        self.found.append(norms)


class GradientFile(GradientTrace):
    """The same as a CSV file that grows during any training: a row a layer at some ten steps.

    A training that goes on after a stop adds to its file. Of several processes every one measures, since each may hold
    a part of the weights, and the one that ``leads`` writes.
    """

    def __init__(self, path: Path, moments: int = MOMENTS, leads: bool = True) -> None:
        super().__init__([place / moments for place in range(moments)])
        self.path, self.leads = path, leads

    def keep(self, norms: GradientNorms) -> None:
        if not self.leads:
            return
        rows = zip(norms.layers, norms.gradients, norms.weights, norms.relative, strict=True)
        fresh = not self.path.exists()
        with self.path.open("a", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerows([COLUMNS] if fresh else [])
            table.writerows([norms.step, layer, *(f"{number:.6g}" for number in row)] for layer, *row in rows)
