"""How much memory a device has to give."""

from __future__ import annotations

import os
from pathlib import Path

import torch


def free_bytes(device: torch.device) -> int:
    """Bytes that may be used on a device.

    Of a CPU's memory half of what is available, since cached cases and other programs share it; a container's limit
    (cgroup version 2) counts where it is lower.
    """
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return min(_available(), _allowed()) // 2


def _available() -> int:
    """What Linux can hand out without swapping; elsewhere all there is."""
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _allowed() -> int:
    """What is left under the control group's limit."""
    try:
        group = Path("/sys/fs/cgroup")
        limit, used = ((group / name).read_text().strip() for name in ("memory.max", "memory.current"))
        return 2**62 if limit == "max" else max(int(limit) - int(used), 0)
    except (OSError, ValueError):
        return 2**62
