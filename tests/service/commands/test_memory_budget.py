"""Scans in hand share what memory there is; none is promised more, and none is passed over for ever."""

import threading
import time

from skipseg.service.commands.memory_budget import MemoryBudget


class Scan(threading.Thread):
    """A thread that holds some memory until it is let go."""

    def __init__(self, budget: MemoryBudget, count: int) -> None:
        super().__init__(daemon=True)
        self.budget, self.count = budget, count
        self.has_it, self.may_go = threading.Event(), threading.Event()
        self.start()

    def run(self) -> None:
        with self.budget.hold(self.count):
            self.has_it.set()
            self.may_go.wait(60)

    def leave(self) -> None:
        self.may_go.set()
        self.join(60)


def waits(scan: Scan) -> bool:
    return not scan.has_it.wait(0.05)


def until_it_has_its_turn(budget: MemoryBudget) -> None:
    """Until somebody waits for room, and all who come later wait for them."""
    ends = time.monotonic() + 60
    while not budget._turn.locked():
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_what_does_not_fit_waits_until_there_is_room() -> None:
    budget = MemoryBudget(10)
    first, second = Scan(budget, 6), Scan(budget, 6)
    assert first.has_it.wait(60)
    assert waits(second)
    first.leave()
    assert second.has_it.wait(60)
    assert budget.held == 6
    second.leave()
    assert budget.held == 0


def test_small_scans_do_not_slip_past_a_large_one() -> None:
    budget = MemoryBudget(10)
    first = Scan(budget, 4)
    assert first.has_it.wait(60)
    large = Scan(budget, 8)
    until_it_has_its_turn(budget)
    small = Scan(budget, 2)
    assert waits(large)
    assert waits(small)
    first.leave()
    assert large.has_it.wait(60)
    assert small.has_it.wait(60)


def test_a_scan_larger_than_all_there_is_goes_alone() -> None:
    budget = MemoryBudget(10)
    giant = Scan(budget, 1000)
    assert giant.has_it.wait(60)
    small = Scan(budget, 1)
    assert waits(small)
    giant.leave()
    assert small.has_it.wait(60)
