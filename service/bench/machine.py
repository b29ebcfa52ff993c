"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from skipseg import __version__

PACKAGES = ("torch", "openvino", "monai", "numpy")
UNITS = {"avx2": "AVX2", "avx512_f": "AVX512", "avx512_bf16": "AVX512-BF16", "amx_bf16": "AMX-BF16", "bf16": "Arm bf16"}
COUNTERS = Path("/proc/stat")


@dataclass(frozen=True)
class Machine:
    """Hardware and software that a reader needs to judge a figure."""

    processor: str
    cores: int  # that this process may use
    units: tuple[str, ...]  # for vectors and matrices
    memory_bytes: int | None
    threads: int  # of one network
    gpu: str | None  # None: the networks run on the processor
    system: str
    versions: dict[str, str]

    @property
    def told(self) -> str:
        """Two sentences for people."""
        memory = "" if self.memory_bytes is None else f", {self.memory_bytes / 2**30:.0f} GiB"
        where = f"{self.processor}, {self.cores} cores ({', '.join(self.units) or 'no vector units known'}){memory}"
        software = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        return f"{where}, {self.gpu or 'no GPU used'}, {self.threads} threads a network. {software}; {self.system}."


def this_machine(device: torch.device) -> Machine:
    """The machine that this process runs on, its networks on ``device``."""
    found = torch.cpu.get_capabilities()
    return Machine(
        processor=str(found.get("cpu_name") or platform.processor() or platform.machine()),
        cores=_cores(),
        units=tuple(name for unit, name in UNITS.items() if found.get(unit)),
        memory_bytes=_memory(),
        threads=torch.get_num_threads(),
        gpu=torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        system=f"Python {platform.python_version()}, {platform.system()} {platform.machine()}",
        versions={"skipseg": __version__} | {package: _version(package) for package in PACKAGES},
    )


def watch_the_others() -> Callable[[], float | None]:
    """Begin to count; what is given tells how many cores all other processes have kept busy since, on average.

    Processes of ours count as ours once they have ended. None where the system does not tell.
    """
    began, everybody, own = time.monotonic(), _everybody(), _own()

    def cores() -> float | None:
        busy = _everybody()
        if everybody is None or busy is None:
            return None
        return max(0.0, (busy - everybody) - (_own() - own)) / max(time.monotonic() - began, 1e-9)

    return cores


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _everybody() -> float | None:
    """Seconds that the cores have been busy since the system started."""
    if not COUNTERS.exists():
        return None
    user, nice, system = map(int, COUNTERS.read_text().split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def _own() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
