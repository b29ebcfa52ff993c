"""How the C library gives memory out, for loops that ask for the same large blocks again and again."""

from __future__ import annotations

import ctypes

# names and numbers of malloc.h (glibc)
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> None:
    """Let glibc keep what is freed for the next layer that asks, up to 2 GB at the end of its heap.

    As it comes, glibc takes every large block from the system and gives it back afterwards: each activation of each
    step then costs a page fault every 4 kB. Elsewhere (macOS, Windows, musl) nothing is changed.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(M_TOP_PAD, 2**28)
