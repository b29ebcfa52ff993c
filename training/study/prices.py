"""What skips cost: weights, multiplications, milliseconds, and bytes held."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from math import prod

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from skipseg.models.networks.blocks import identity_or_projection
from skipseg.models.networks.cost import cost
from skipseg.models.networks.kit import WEIGHTED, Kit
from skipseg.models.networks.recipes import UNetRecipe, build
from skipseg.models.networks.skips.add import Add
from skipseg.training.study.activations import held_bytes
from skipseg.training.study.crossing import crossings, joins_of

Way = Callable[[], object]
FACTOR = 2  # times as many features on one side of a mismatch


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")


class SkipPrice(_Frozen):
    """One skip of a network: what it adds to a network whose decoder goes on with what came from below alone."""

    place: int  # of the join, coarsest first
    weights: int  # of the join, and of the convolution after it for what the join adds to its input
    multiplications: float  # of one image
    milliseconds: float  # median of a forward pass; below 0 where it is lost in the noise
    held_bytes: int  # of one image: what crosses has to be kept until it is joined


class NetworkPrice(_Frozen):
    """A whole network on one image, at widths that all kinds of skips share."""

    skip: str
    weights: int
    multiplications: float
    held_bytes: int  # for the backward pass
    milliseconds: tuple[float, ...]  # forward and backward, one number a round; kinds took turns in every round


class ProjectionPrice(_Frozen):
    """What it costs that shapes disagree, ``FACTOR`` to one, at one place: with a projection, and with equal shapes."""

    where: str
    refused: bool  # whether adding without one fails, as it should
    features: int
    weights: int
    weights_share: float  # of the block that the projection lets through
    milliseconds: tuple[float, ...]  # one number a round: with less without
    milliseconds_share: tuple[float, ...]  # of the block, the same rounds


@torch.no_grad()
def skip_prices(network: nn.Module, images: Tensor, rounds: int = 5) -> tuple[SkipPrice, ...]:
    """Every skip of a U-Net, measured on images (N, C, *spatial)."""
    crossed = crossings(network, images)
    return tuple(_skip_price(network, place, up, across, rounds) for place, (up, across) in enumerate(crossed))


def _skip_price(network: nn.Module, place: int, up: Tensor, across: Tensor, rounds: int) -> SkipPrice:
    join, decode = joins_of(network)[place], network.get_submodule(f"expanding.{place}.0")
    alone = _narrowed(decode, up.shape[1])
    weights = _count(join) + _count(decode) - _count(alone)
    with_skip, without = _in_turns([lambda: decode(join(up, across)), lambda: alone(up)], rounds, up.device)
    return SkipPrice(
        place=place,
        weights=weights,
        multiplications=float(weights * prod(up.shape[2:])),
        milliseconds=_median([a - b for a, b in zip(with_skip, without, strict=True)]) / len(up),
        held_bytes=across[0].numel() * across.element_size(),
    )


def network_prices(
    recipes: Sequence[UNetRecipe], images: Tensor, rounds: int, device: torch.device
) -> tuple[NetworkPrice, ...]:
    """Networks side by side; every round times each of them once, so that what else goes on meets all of them."""
    networks = [build(recipe).to(device).train() for recipe in recipes]
    images = images.to(device)
    times = _in_turns([partial(_there_and_back, network, images) for network in networks], rounds, device)
    size = tuple(images.shape[2:])
    return tuple(
        NetworkPrice(
            skip=recipe.skip,
            weights=cost(recipe, size).weights,
            multiplications=cost(recipe, size).multiplications,
            held_bytes=held_bytes(network, images),
            milliseconds=tuple(round(one, 3) for one in taken),
        )
        for recipe, network, taken in zip(recipes, networks, times, strict=True)
    )


def projection_prices(
    kit: Kit, features: int, size: Sequence[int], rounds: int, device: torch.device
) -> tuple[ProjectionPrice, ...]:
    """Of a residual block whose input has half as many features, and of an additive join across ``FACTOR`` times as
    many. Their shares are of the block's two convolutions, and of the convolution after the join."""
    kernel, more = kit.each(3), FACTOR * features
    few, many = (torch.randn(1, count, *size, device=device) for count in (features, more))
    after_join = kit.unit(features, features, kernel)
    block = nn.Sequential(kit.unit(features, more, kernel), kit.unit(more, more, kernel))
    skip, join = identity_or_projection(kit, features, more, kit.each(1)), Add(kit, features, more)
    equal = Add(kit, features, features)
    for part in (after_join, block, skip, join, equal):
        part.to(device)
    of_block = [lambda: block(few) + skip(few), lambda: block(few)]
    of_join = [lambda: after_join(join(few, many)), lambda: after_join(equal(few, few))]
    return (
        _priced("residual block", skip, block, few, of_block, rounds),
        _priced("additive join", join, after_join, few, of_join, rounds),
    )


@torch.no_grad()
def _priced(
    where: str,
    projection: nn.Module,
    block: nn.Module,
    image: Tensor,
    ways: Sequence[Way],
    rounds: int,
) -> ProjectionPrice:
    with_it, without = _in_turns(ways, rounds, image.device)
    return ProjectionPrice(
        where=where,
        refused=_refused(image),
        features=image.shape[1],
        weights=_count(projection),
        weights_share=_count(projection) / _count(block),
        milliseconds=tuple(a - b for a, b in zip(with_it, without, strict=True)),
        milliseconds_share=tuple((a - b) / b for a, b in zip(with_it, without, strict=True)),
    )


def _there_and_back(network: nn.Module, images: Tensor) -> None:
    network(images).square().mean().backward()


def _refused(image: Tensor) -> bool:
    """Whether features of different numbers cannot be added as they are."""
    try:
        image + torch.cat([image] * FACTOR, dim=1)
    except RuntimeError:
        return True
    return False


def _narrowed(convolution: nn.Module, features: int) -> nn.Module:
    """The same convolution with fewer features to read."""
    assert isinstance(convolution, WEIGHTED)
    made = type(convolution)(
        features,
        convolution.out_channels,
        convolution.kernel_size,  # type: ignore[arg-type]  # of two numbers or three
        padding=convolution.padding,  # type: ignore[arg-type]
        bias=convolution.bias is not None,
    )
    return made.to(convolution.weight.device)


def _count(module: nn.Module) -> int:
    return sum(values.numel() for values in module.parameters())


def _median(values: Sequence[float]) -> float:
    return float(torch.tensor(values).median())


def _in_turns(ways: Sequence[Way], rounds: int, device: torch.device) -> list[list[float]]:
    """Milliseconds of each way in every round; a first round is not counted, since kernels are set up in it."""
    taken: list[list[float]] = [[] for _ in ways]
    for _ in range(rounds + 1):
        for way, times in zip(ways, taken, strict=True):
            _settle(device)
            began = time.perf_counter()
            way()
            _settle(device)
            times.append(1000 * (time.perf_counter() - began))
    return [times[1:] for times in taken]


def _settle(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
