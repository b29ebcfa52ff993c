"""Memory that is freed is kept for whoever asks next, on any thread; after a large scan the system gets it back."""

import platform
import subprocess
import sys

import pytest

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="elsewhere nothing is changed")

MEASURE = """
import ctypes, resource, threading
from pathlib import Path

BLOCK = 2**27

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

class Mallinfo(ctypes.Structure):  # of malloc.h
    _fields_ = [(name, ctypes.c_int) for name in "arena ordblks smblks hblks hblkhd uordblks".split()]
    _fields_ += [(name, ctypes.c_int) for name in "usmblks fsmblks fordblks keepcost".split()]

mallinfo = ctypes.CDLL(None).mallinfo
mallinfo.restype = Mallinfo

def ask():
    before = mallinfo().hblks
    block = bytearray(BLOCK)
    borrowed.append(mallinfo().hblks - before)

borrowed = []  # blocks that the system had to be asked for, and will get back
ask()
thread = threading.Thread(target=ask)
thread.start()
thread.join()
"""


def measured(first: str, then: str) -> list[float]:
    """What a fresh process prints that measures between two pieces of code."""
    code = f"{first}\n{MEASURE}\n{then}"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [float(figure) for figure in ended.stdout.splitlines()[-1].split()]


COMMAND = """
import sys
from skipseg.service.cli import main
sys.argv = ["skipseg", "--version"]
try:
    main()
except SystemExit:
    pass
"""


@glibc
def test_the_command_line_keeps_large_blocks_for_every_thread() -> None:
    assert measured(COMMAND, "print(*borrowed)") == [0, 0]


@glibc
def test_a_library_leaves_its_host_as_it_is() -> None:
    imports = "import skipseg.models.inference.predictor, skipseg.service.cli"
    assert measured(imports, "print(*borrowed)") == [1, 1]


@glibc
@pytest.mark.parametrize(("held", "given_back"), [(2**31, True), (2**20, False)])
def test_memory_is_given_back_after_a_large_scan_and_kept_after_a_small_one(held: int, given_back: bool) -> None:
    first = "from skipseg.models.allocator import give_back_after, keep_freed_memory; keep_freed_memory()"
    then = f"before = resident(); give_back_after({held}); print((before - resident()) / BLOCK)"
    (share,) = measured(first, then)
    assert (share > 0.5) == given_back
