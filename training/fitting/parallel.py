"""Several processes that train one network together, started by ``torchrun``. Lightning Fabric is known here alone.

``Alone`` is what a run is without ``torchrun``, and the face that the fitting loop sees: with one process every line of
it does next to nothing. The leader is process 0; it alone prints, writes and evaluates, and its clock is everybody's.
"""

from __future__ import annotations

import atexit
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from logging import ERROR, getLogger
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor, nn

from skipseg.models.errors import UsageError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

T = TypeVar("T")
State = dict[str, Tensor]
HARMLESS = (
    "Grad strides do not match bucket view strides",  # kernels of one voxel look alike in either memory format
    "FSDP2-wrapped module .* returned a view tensor",  # nothing changes in place what a block returned
)
PATIENCE = timedelta(days=1)  # the others wait while the leader evaluates


class Alone:
    """One process; what ``Together`` says of several holds here for one."""

    rank, world = 0, 1

    def __init__(self, device: torch.device) -> None:
        self.device = device

    @property
    def leads(self) -> bool:
        """Whether this process is the one that prints, writes and evaluates."""
        return self.rank == 0

    def place(self, network: nn.Module) -> nn.Module:
        """The network on the device, its gradients shared with the other processes."""
        return network.to(self.device)

    def backward(self, loss: Tensor) -> None:
        """Gradients of the mean of all processes' losses."""
        loss.backward()

    def clip(self, network: nn.Module, longest: float) -> bool:
        """Shorten the gradient to a length of at most ``longest``; False when that length is not finite."""
        return bool(torch.isfinite(nn.utils.clip_grad_norm_(network.parameters(), longest)))

    def mean(self, value: float) -> float:
        """The mean of all processes' values."""
        return value

    def total(self, sums: Tensor) -> Tensor:
        """The sum of all processes' tensors, through which gradients flow back to each."""
        return sums

    def agreed(self, value: T) -> T:
        """The leader's value, whatever the others have."""
        return value

    def told(self, find: Callable[[], T]) -> T:
        """What the leader finds; the others do not look, and wait."""
        return find()

    def wait(self) -> None:
        """Until all processes are here."""

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """The leader runs the block before the others: what it writes they find."""
        yield

    def whole(self, state: State) -> State:
        """A state with every tensor in one piece, where processes hold parts."""
        return state

    def parts(self, state: State, like: State) -> State:
        """The reverse: of each tensor what this process holds of the one of the same name in ``like``."""
        return {name: values.to(like[name].device) for name, values in state.items()}


class Together(Alone):
    """One of several processes; each draws its own share of the batch, and all end a step with the same weights.

    With ``sharded`` each holds a part of the weights (fully sharded data parallel: Zhao 2023), for networks larger than
    a device; otherwise all of them (distributed data parallel: Li 2020).
    """

    def __init__(self, device: torch.device, sharded: bool) -> None:
        self.fabric = _launch(device, sharded)
        self.sharded = sharded
        self.rank, self.world = self.fabric.global_rank, self.fabric.world_size
        super().__init__(self.fabric.device)

    def place(self, network: nn.Module) -> nn.Module:
        for harmless in HARMLESS:
            warnings.filterwarnings("ignore", harmless)
        if self.sharded:
            network = network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # to be split
        placed: nn.Module = self.fabric.setup_module(network)
        return placed

    def backward(self, loss: Tensor) -> None:
        self.fabric.backward(loss)

    def clip(self, network: nn.Module, longest: float) -> bool:
        length: Any = nn.utils.clip_grad_norm_(network.parameters(), longest)
        return bool(torch.isfinite(length.full_tensor() if self.sharded else length))

    def mean(self, value: float) -> float:
        values = torch.tensor(value / self.world, dtype=torch.float64)
        torch.distributed.all_reduce(values)
        return float(values)

    def total(self, sums: Tensor) -> Tensor:
        summed: Tensor = _Total.apply(sums)
        return summed

    def agreed(self, value: T) -> T:
        held = [value]
        torch.distributed.broadcast_object_list(held)
        return held[0]

    def told(self, find: Callable[[], T]) -> T:
        found: T = self.agreed(find() if self.leads else None)  # type: ignore[assignment]
        return found

    def wait(self) -> None:
        self.agreed(None)
        self.mean(0.0)

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        if not self.leads:
            self.agreed(None)
        yield
        if self.leads:  # not when the block failed: this process then ends, and torchrun ends the others
            self.agreed(None)

    def whole(self, state: State) -> State:
        return {name: whole(values) for name, values in state.items()} if self.sharded else state

    def parts(self, state: State, like: State) -> State:
        return {name: part(values.to(like[name].device), like[name]) for name, values in state.items()}


def join(device: torch.device, sharded: bool = False) -> Alone:
    """The processes that ``torchrun`` started, or this one alone. Raises ``UsageError`` when a package is missing."""
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    if sharded and not several:
        raise UsageError("--shard splits a network over several processes: start skipseg with torchrun")
    return Together(device, sharded) if several else Alone(device)


def leads() -> bool:
    """Whether this process is the leader, before it has joined the others."""
    return os.environ.get("RANK", "0") == "0"


def whole(values: Tensor) -> Tensor:
    """A tensor in one piece, of which processes may hold parts."""
    gather: Callable[[], Tensor] | None = getattr(values, "full_tensor", None)
    return gather() if gather else values


def part(values: Tensor, like: Tensor) -> Tensor:
    """What this process holds of ``values`` if they are split as ``like`` is, which may be in one piece too."""
    if not hasattr(like, "full_tensor"):
        return values
    from torch.distributed.tensor import DTensor, distribute_tensor

    assert isinstance(like, DTensor)
    return distribute_tensor(values, like.device_mesh, like.placements, src_data_rank=None)


def _launch(device: torch.device, sharded: bool) -> Fabric:
    """Join the other processes. On one device of its own each: torchrun says which."""
    try:
        from lightning_fabric import Fabric
        from lightning_fabric.strategies.ddp import DDPStrategy
        from lightning_fabric.strategies.model_parallel import ModelParallelStrategy
    except ImportError:
        raise UsageError(
            "training in several processes needs Lightning Fabric: pip install 'skipseg[distributed]'"
        ) from None
    getLogger("lightning_fabric").setLevel(ERROR)
    world = int(os.environ["WORLD_SIZE"])
    local = int(os.environ.get("LOCAL_WORLD_SIZE", world))
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"  # what is agreed on travels without the GPU
    strategy = (
        ModelParallelStrategy(_shard, world, 1, process_group_backend=backend, timeout=PATIENCE)
        if sharded
        else DDPStrategy(process_group_backend=backend, timeout=PATIENCE)
    )
    fabric = Fabric(accelerator=device.type, devices=local, num_nodes=world // local, strategy=strategy)
    fabric.launch()
    atexit.register(_leave)
    return fabric


def _leave() -> None:
    """End what is exchanged in the background before Python ends under it: its threads would end the process badly."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _shard(network: nn.Module, mesh: Any) -> nn.Module:
    """Split every block of a network over the processes; a block is whole only while it computes."""
    from torch.distributed.fsdp import fully_shard

    for block in _blocks(network):
        fully_shard(block, mesh=mesh["data_parallel"])
    fully_shard(network, mesh=mesh["data_parallel"])
    return network


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    """The modules that lists of a network hold."""
    for child in module.children():
        if isinstance(child, nn.ModuleList):
            yield from _blocks(child)
        elif any(True for _ in child.parameters()):
            yield child


class _Total(torch.autograd.Function):
    """The sum over processes; what a loss of it says about the sum it says about every process's share."""

    @staticmethod
    def forward(ctx: Any, sums: Tensor) -> Tensor:
        summed = sums.clone()
        torch.distributed.all_reduce(summed)
        return summed

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        summed = gradient.clone()  # gradients are averaged over the processes later on, so they are added up here
        torch.distributed.all_reduce(summed)
        return summed
