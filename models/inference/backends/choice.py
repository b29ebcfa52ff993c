"""Which backend serves a network: the first of the faster ones that answers as the reference does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from skipseg.models.inference.backends.backend import Backend, Unusable
from skipseg.models.inference.backends.batching import most_useful_batch
from skipseg.models.inference.backends.cuda_graph import CudaGraph
from skipseg.models.inference.backends.eager import Eager
from skipseg.models.inference.backends.openvino_cpu import OpenVINO
from skipseg.models.inference.backends.probe import TOLERANCE, answered, difference, probe
from skipseg.models.memory import ran_out
from skipseg.models.plan import Plan
from skipseg.models.precision import Mode, Precision, fastest_precision

SLACK = 1.5  # times as long as the reference: less may be the machine's other work, and a choice should not hang on it
Ready = Callable[[], Backend]


@dataclass(frozen=True)
class Choice:
    """What was chosen and why, for people and for the record of a mask."""

    backend: str
    precision: Precision
    batch: int
    difference: float | None  # of its logits from the reference's, see ``probe.difference``; None: it is the reference
    reason: str

    def __str__(self) -> str:
        return f"{self.backend} {self.precision}"


@dataclass(frozen=True)
class Yardstick:
    """What the reference answered for the probe, and how long it took."""

    reference: Backend
    tiles: Tensor
    logits: Tensor
    seconds: float  # a tile

    @classmethod
    def of(cls, reference: Backend, tiles: Tensor) -> Yardstick:
        each = [answered(reference, tile[None]) for tile in tiles]
        return cls(reference, tiles, torch.cat([logits for logits, _ in each]), min(seconds for _, seconds in each))

    def again(self) -> Yardstick:
        """Measured anew."""
        return Yardstick.of(self.reference, self.tiles)


def choose(network: nn.Module, plan: Plan, device: torch.device, mode: Mode) -> tuple[Backend, Choice]:
    """A network (eval mode, fp32, on the CPU) made ready on ``device`` for the plan's tiles, and why in this way.

    The network is the backend's from then on. It answers a probe several times before it is trusted: that takes seconds
    where tiles are large.
    """
    shape = (len(plan.channels), *plan.tile)
    if device.type == "cuda":
        _set_cudnn()
    reference = Eager(network, device, "fp32")
    yardstick = Yardstick.of(reference, probe(shape, count=2 if device.type == "cuda" else 1))
    refused = ""
    for ready in _faster(reference, shape, mode):
        try:
            backend = ready()
            apart, merits = judge(backend, yardstick)
        except Unusable as error:
            refused += f"not taken: {error}; "
        except RuntimeError as error:
            if not ran_out(error):
                raise
            refused += "one more was not taken, since memory ran out; "
        else:
            return backend, Choice(backend.name, backend.precision, backend.batch, apart, refused + merits)
    return reference, Choice("torch", "fp32", 1, None, f"{refused}torch in fp32 is what all others are held to")


def judge(backend: Backend, yardstick: Yardstick) -> tuple[float, str]:
    """How far a backend lies off, and what speaks for it; raises ``Unusable`` with what speaks against it.

    What seems slower is heard twice: a server that starts on a busy machine must not be slow from then on.
    """
    name = f"{backend.name} in {backend.precision}"
    apart, seconds = _heard(backend, yardstick)
    if seconds > SLACK * yardstick.seconds:
        yardstick = yardstick.again()
        apart, seconds = _heard(backend, yardstick)
    times = f"{_milliseconds(seconds)} ms a tile, torch in fp32 {_milliseconds(yardstick.seconds)}"
    if seconds > SLACK * yardstick.seconds:
        raise Unusable(f"{name} is slower: {times}")
    return apart, f"{name} takes {times}; its logits lie {apart:.2%} off"


def _heard(backend: Backend, yardstick: Yardstick) -> tuple[float, float]:
    """How far its logits lie off, and its seconds for a tile; raises ``Unusable`` beyond the tolerance."""
    apart, seconds = _compared(backend, yardstick)
    if not apart <= TOLERANCE[backend.precision]:
        raise Unusable(
            f"{backend.name} in {backend.precision} lies {apart:.2%} off torch in fp32, of "
            f"{TOLERANCE[backend.precision]:.1%} allowed"
        )
    return apart, seconds


def _compared(backend: Backend, yardstick: Yardstick) -> tuple[float, float]:
    """The largest difference of its logits, alone and in a whole batch, and the seconds that it takes for a tile."""
    apart, seconds = 0.0, 0.0
    for count in sorted({1, backend.batch}):
        which = torch.arange(count) % len(yardstick.tiles)
        logits, seconds = answered(backend, yardstick.tiles[which])
        each = zip(logits.split(1), which, strict=True)
        apart = max(apart, *(difference(one, yardstick.logits[at][None]) for one, at in each))
    return apart, seconds / backend.batch


def _milliseconds(seconds: float) -> str:
    """Three digits, or all of those before the point."""
    return f"{1000 * seconds:.3g}" if seconds < 0.9995 else f"{1000 * seconds:.0f}"


def _faster(reference: Eager, shape: tuple[int, ...], mode: Mode) -> Iterator[Ready]:
    """Ways to make the network ready that should be faster than the reference, the most promising first."""
    network, device = reference.network, reference.device
    fastest = fastest_precision(device) if mode == "fast" else "fp32"
    in_order: tuple[Precision, Precision] = (fastest, "fp32")
    for precision in dict.fromkeys(in_order):
        if device.type == "cuda":
            yield partial(_recorded, network, device, precision, shape)
            yield partial(_batched, network, device, precision, shape)
            continue
        yield partial(OpenVINO, network, shape, precision)
        if precision != "fp32":
            yield partial(Eager, network, device, precision)


def _recorded(network: nn.Module, device: torch.device, precision: Precision, shape: tuple[int, ...]) -> CudaGraph:
    return CudaGraph(_batched(network, device, precision, shape), shape)


def _batched(network: nn.Module, device: torch.device, precision: Precision, shape: tuple[int, ...]) -> Eager:
    """torch for as many tiles at once as make it faster."""
    eager, tile = Eager(network, device, precision), probe(shape)

    def seconds(count: int) -> float:
        eager.batch = count
        return answered(eager, tile.expand(count, *shape))[1]

    eager.batch = most_useful_batch(seconds)
    torch.cuda.empty_cache()  # what larger batches took
    return eager


def _set_cudnn() -> None:
    """Tiles have one shape, so algorithms are worth a search; and fp32 is to mean fp32, not TF32."""
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = False
