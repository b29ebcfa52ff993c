"""How much memory a process has held at most."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import torch


def forget_peaks(device: torch.device) -> None:
    """Let this process' peaks begin anew at what it holds now; on systems other than Linux they never do."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_bytes(process: int | str = "self") -> int | None:
    """Of a process' main memory (its resident set); None where the system does not tell."""
    try:
        lines = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None


def device_peak_bytes(device: torch.device) -> int | None:
    """Of a GPU's memory, in torch's hands; None on a processor, whose memory is the process' own."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
