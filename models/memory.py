"""One scan that is too large for this machine: its error, not the end of everything else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from skipseg.models.errors import ScanTooLarge

# torch.OutOfMemoryError, the processor's allocator, CUDA's libraries: RuntimeErrors that only their words tell apart.
SIGNS = ("out of memory", "allocate memory", "not enough memory", "alloc_failed")


@contextmanager
def memory_permitting() -> Iterator[None]:
    """Raise ``ScanTooLarge`` in place of what numpy, torch and CUDA raise when memory runs out."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not ran_out(error):
            raise
        raise ScanTooLarge(
            "there is not enough free memory for this scan; crop or resample it, or use a machine with more memory"
        ) from None


def ran_out(error: Exception) -> bool:
    """Whether an error says that the memory of the processor or of the device is used up."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(sign in str(error).lower() for sign in SIGNS)
