"""How the C library gives memory out, for loops that ask for the same large blocks again and again.

Programs of ours call ``keep_freed_memory`` where they begin (``service.cli.main``): threads get their share of these
choices only when they start later. A library must not choose for its host, so importing one of ours changes nothing.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

# names and numbers of malloc.h (glibc)
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8

LARGE = 2**30  # bytes that are worth the time it takes to give them back, and to ask for them again


def keep_freed_memory() -> None:
    """Let glibc keep what is freed for the next layer that asks, up to 2 GB at the end of its heap.

    As it comes, glibc takes every large block from the system and gives it back afterwards: each activation of each
    layer then costs a page fault every 4 kB. There is one heap for all threads, since those that threads have of their
    own hold no block above 64 MB. Elsewhere (macOS, Windows, musl) nothing is changed.
    """
    if (mallopt := _glibc("mallopt")) is not None:
        mallopt(M_ARENA_MAX, 1)
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_TOP_PAD, 2**28)


def give_back_after(held: int) -> None:
    """Return to the system what is free now, wherever in the heap, when a scan that held many bytes has left."""
    if held >= LARGE and (malloc_trim := _glibc("malloc_trim")) is not None:
        malloc_trim(0)


def _glibc(name: str) -> Callable[..., int] | None:
    try:
        function: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):
        return None
    return function
