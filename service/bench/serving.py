"""``skipseg bench serving``: our server and a plain one, asked the same with the same network.

Both are processes of their own and take turns; clients are threads of this one, which otherwise idles.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, TypeVar

import numpy as np
import torch

from skipseg.models.precision import Mode
from skipseg.models.scans.reader import read_scan
from skipseg.service.bench import engine_rate
from skipseg.service.bench.clients import Client, Crowd, answers_per_second, in_a_crowd, scan_file, seconds_of
from skipseg.service.bench.engine_rate import Rate
from skipseg.service.bench.machine import Machine, this_machine, watch_the_others
from skipseg.service.bench.process import Process
from skipseg.service.bench.readings import Progress, Seconds, Steps, paired_ratio
from skipseg.service.bench.servers import OURS, PLAIN, Servers
from skipseg.service.bench.sizes import ServingSize

LEAD = 0.1  # of a large scan's time alone passes before small ones are sent beside large ones
LARGEST_LEAD_S = 3.0

Result = TypeVar("Result")


@dataclass(frozen=True)
class Served:
    """What one server did; seconds of single answers, in order, but for ``scans_per_s``."""

    first: tuple[tuple[float, ...], ...]  # requests after each start
    idle: tuple[float, ...]  # of one client alone
    large_alone: float
    crowd: Crowd
    scans_per_s: tuple[float, ...]  # of several clients, per round
    memory_bytes: int | None  # most, in all of this

    def figures(self, rates: Sequence[Rate]) -> dict[str, float | None]:
        """What people look at; shares of the engine's own rate are those of one round."""
        crowd, idle = self.crowd, Seconds(self.idle).median
        beside = Seconds(crowd.small).median
        first, later = [one[0] for one in self.first], [one[-1] for one in self.first]
        tiles = [scans * rate.tiles for scans, rate in zip(self.scans_per_s, rates, strict=True)]
        return {
            "small_idle_s": idle,
            "small_beside_large_s": beside,
            "small_slower_beside_large": beside / idle,
            "large_alone_s": self.large_alone,
            "large_first_s": min(crowd.large),
            "large_first_to_alone": min(crowd.large) / self.large_alone,
            "large_last_s": max(crowd.large),
            "info_p50_s": Seconds(crowd.info).median,
            "info_p99_s": Seconds(crowd.info).percentile(99),
            "healthz_p50_s": Seconds(crowd.health).median,
            "healthz_p99_s": Seconds(crowd.health).percentile(99),
            "first_s": median(first),
            "later_s": median(later),
            "first_to_later": paired_ratio(first, later),
            "scans_per_s": median(self.scans_per_s),
            "tile_rate_share": paired_ratio(tiles, [rate.tiles_per_s for rate in rates]),
            "memory_bytes": self.memory_bytes,
        }


@dataclass(frozen=True)
class Serving:
    """What a run of the benchmark leaves."""

    machine: Machine
    network: str
    size: ServingSize
    device: str
    mode: Mode
    engine: tuple[Rate, ...]  # of ours, alone, in each round of throughput
    agreement: float  # share of voxels in which both servers' masks of the small scan are the same
    others: float | None  # cores that other processes kept busy meanwhile
    served: Mapping[str, Served]

    @property
    def figures(self) -> dict[str, dict[str, float | None]]:
        """By server."""
        return {name: one.figures(self.engine) for name, one in self.served.items()}

    def as_json(self) -> dict[str, Any]:
        """Everything, raw readings too; ratios are the plain server's seconds to ours."""
        found = self.figures
        times = ("small_idle_s", "small_beside_large_s", "large_alone_s", "large_first_s", "large_last_s", "first_s")
        ratios = {name: (found[PLAIN][name] or 0) / (found[OURS][name] or 1) for name in times}
        return {"bench": "serving", "ratios": ratios, "figures": found, **asdict(self)}


def measure_serving(servers: Servers, size: ServingSize, progress: Progress) -> Serving:
    """Ask both servers in turn; raises ``NotReady`` when one does not start or does not answer."""
    others = watch_the_others()
    servers.prepare()
    served, rates, agreement = _ask(servers, size, progress)
    return Serving(
        machine=this_machine(torch.device(servers.device)),
        network=servers.subject.open().plan.network.told,
        size=size,
        device=servers.device,
        mode=servers.mode,
        engine=rates,
        agreement=agreement,
        others=others(),
        served=served,
    )


def _ask(servers: Servers, size: ServingSize, progress: Progress) -> tuple[dict[str, Served], tuple[Rate, ...], float]:
    """What came of each server, of our engine alone, and how far their masks agree."""
    small, large = scan_file(size.small), scan_file((size.large,) * 3)
    rates, throughput = list[Rate](), list[Mapping[str, float]]()
    with ExitStack() as stack:
        steps = Steps(2 * (size.starts + size.idle + size.rounds + 2), progress)
        first, contest = _start(stack, servers, size, small, steps)
        idle = [contest.each(lambda client: seconds_of(lambda: client.segment(small))) for _ in range(size.idle)]
        alone = contest.each(lambda client: seconds_of(lambda: client.segment(large)))
        crowds = contest.each(lambda client: _crowd(client, small, large, size, alone))
        engine = _engine(stack, servers)
        for _ in range(size.rounds):
            rates.append(engine.call(engine_rate.tile_rate, size.small, size.duration_s))
            throughput.append(contest.each(lambda client: _many(client, small, size)))
        agreement, memory = contest.agreement(small), contest.memory()
    served = {
        name: Served(
            first=first[name],
            idle=tuple(one[name] for one in idle),
            large_alone=alone[name],
            crowd=crowds[name],
            scans_per_s=tuple(one[name] for one in throughput),
            memory_bytes=memory[name],
        )
        for name in first
    }
    return served, tuple(rates), agreement


class _Contest:
    """A connection to each server."""

    def __init__(self, clients: Mapping[str, Client], steps: Steps) -> None:
        self._clients, self._steps = clients, steps

    def each(self, call: Callable[[Client], Result]) -> dict[str, Result]:
        """What a call gives of each server, one after the other."""
        found = {}
        for name, client in self._clients.items():
            found[name] = call(client)
            self._steps.step()
        return found

    def agreement(self, scan: bytes) -> float:
        """The share of a scan's voxels that both servers give the same label."""
        ours, theirs = (read_scan(client.segment(scan)).voxels for client in self._clients.values())
        return float(np.mean(ours == theirs))

    def memory(self) -> dict[str, int | None]:
        return {name: client.server.peak_bytes for name, client in self._clients.items()}


def _start(
    stack: ExitStack, servers: Servers, size: ServingSize, small: bytes, steps: Steps
) -> tuple[dict[str, tuple[tuple[float, ...], ...]], _Contest]:
    """Start each server several times; the first requests after each start, and both servers as last started."""
    first: dict[str, list[tuple[float, ...]]] = {OURS: [], PLAIN: []}
    clients = {}
    for again in reversed(range(size.starts)):
        for name, taken in first.items():
            with ExitStack() as until:
                client = until.enter_context(Client(until.enter_context(servers.running(name))))
                taken.append(_first(client, small, size.first))
                if not again:
                    clients[name] = client
                    stack.enter_context(until.pop_all())
            steps.step()
    return {name: tuple(taken) for name, taken in first.items()}, _Contest(clients, steps)


def _first(client: Client, scan: bytes, count: int) -> tuple[float, ...]:
    return tuple(seconds_of(lambda: client.segment(scan)) for _ in range(count))


def _crowd(client: Client, small: bytes, large: bytes, size: ServingSize, alone: Mapping[str, float]) -> Crowd:
    lead = min(LEAD * alone[client.server.name], LARGEST_LEAD_S)
    return in_a_crowd(client.server, small, large, size.large_clients, lead)


def _many(client: Client, small: bytes, size: ServingSize) -> float:
    return answers_per_second(client.server, small, size.small_clients, size.duration_s)


def _engine(stack: ExitStack, servers: Servers) -> Process:
    """Ours alone, in a process of its own."""
    process = stack.enter_context(Process(plain=False))
    process.call(engine_rate.load, servers.subject, servers.device, servers.mode)
    return process
