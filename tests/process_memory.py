"""What a process takes, from /proc; elsewhere the test that asks is skipped."""

import pytest


def kilobytes(pid: int, what: str) -> int:
    """``VmRSS`` or ``VmHWM`` (the peak) of a process."""
    try:
        with open(f"/proc/{pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith(what + ":"))
    except FileNotFoundError:
        pytest.skip("this system has no /proc")


def forget_the_peak(pid: int) -> None:
    with open(f"/proc/{pid}/clear_refs", "w") as file:
        file.write("5")
