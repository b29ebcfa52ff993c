"""Which device computes, and in which number format."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal, cast, get_args

import torch

from skipseg.models.errors import UsageError

Precision = Literal["fp32", "bf16"]
Mode = Literal["exact", "fast"]  # fp32 throughout, or bf16 where the hardware multiplies it natively


def choose_device(wanted: str = "auto") -> torch.device:
    """``auto`` is the first GPU when there is one; raises ``UsageError`` for a device this machine lacks."""
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError:
        raise UsageError(f"a device is auto, cpu, cuda or cuda:N; got {wanted!r}") from None
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"a device is auto, cpu, cuda or cuda:N; got {wanted!r}")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"{wanted} was asked for, but this machine offers {torch.cuda.device_count()} CUDA devices; use cpu"
        )
    return device


def mode_of(text: str) -> Mode:
    """``exact`` or ``fast``; raises ``UsageError`` for anything else."""
    if text not in (modes := get_args(Mode)):
        raise UsageError(f"a precision is {' or '.join(modes)}; got {text!r}")
    return cast(Mode, text)


def fastest_precision(device: torch.device) -> Precision:
    """bf16 where the hardware multiplies it natively, fp32 elsewhere (emulated bf16 is slower than fp32)."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    found = torch.cpu.get_capabilities()
    return "bf16" if any(found.get(unit) for unit in ("avx512_bf16", "amx_bf16", "bf16")) else "fp32"


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[None]:
    """Run convolutions and matrix products in ``precision``; weights and sums stay fp32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
