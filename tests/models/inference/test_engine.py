"""One thread, everybody's tiles: fair, in shared batches, and nobody pays for another's failure."""

import threading
import time
import weakref
from concurrent.futures import CancelledError

import pytest
import torch
from torch import nn

from skipseg.models.inference.backends.eager import Eager
from skipseg.models.inference.engine import Engine
from skipseg.models.inference.fairness import GUARANTEE, STARVING_S, in_turn
from skipseg.models.inference.flight import Flight, Way, fly_alone
from skipseg.models.inference.whole import Whole
from skipseg.models.memory import ran_out

CPU = torch.device("cpu")
WAY = Way((4, 4, 4), 3, 2, 0.5)


class Watched(nn.Module):
    """Answers what it is shown, and remembers how many tiles it was shown at once and whose."""

    def __init__(self, most: int = 1000) -> None:
        super().__init__()
        self.batches: list[list[int]] = []
        self.most = most
        self.gate = threading.Event()
        self.gate.set()

    def forward(self, tiles):
        self.gate.wait()
        if len(tiles) > self.most:
            raise torch.OutOfMemoryError("out of memory")
        if (tiles == -1).any():
            raise ZeroDivisionError("a scan that breaks its network")
        self.batches.append([int(tile.max()) for tile in tiles])
        return tiles.clone()


@pytest.fixture
def engine():
    engine = Engine()
    yield engine
    engine.close()


def flight(network, value, side=4, batch=1, **more) -> Flight:
    return flight_on(Eager(network, CPU, "fp32", batch), value, side, **more)


def flight_on(backend, value, side=4, **more) -> Flight:
    return Flight(torch.full((2, side, side, side), float(value)), WAY, backend, lambda: [Whole()], **more)


def gone_soon(held: weakref.ref) -> None:
    """The engine lets go of a flight a moment after its answer."""
    ends = time.monotonic() + 60
    while held() is not None:
        assert time.monotonic() < ends, "somebody holds it"
        time.sleep(0.01)


def scores(answer):
    return answer.result(timeout=60).sinks[0].scores


def behind_a_gate(engine, network, flights):
    """Put all in flight before the first runs."""
    network.gate.clear()
    answers = [engine.fly(one) for one in flights]
    network.gate.set()
    return answers


def test_a_scan_gets_the_scores_that_it_would_get_alone(engine) -> None:
    network = nn.Conv3d(2, 2, 3, padding=1).eval()
    image = torch.randn(2, 11, 9, 10)
    flights = [Flight(image, WAY, Eager(network, CPU, "fp32", 3), lambda: [Whole()]) for _ in range(4)]
    alone = fly_alone(Flight(image, WAY, Eager(network, CPU, "fp32"), lambda: [Whole()])).sinks[0].scores
    for answer in [engine.fly(one) for one in flights]:
        torch.testing.assert_close(scores(answer), alone)


def test_scans_share_a_batch(engine) -> None:
    network = Watched()
    backend = Eager(network, CPU, "fp32", batch=4)
    for value, answer in enumerate(behind_a_gate(engine, network, [flight_on(backend, n) for n in range(9)])):
        assert (scores(answer) == value).all()
    assert max(map(len, network.batches)) == 4
    assert sum(map(len, network.batches)) == 9


def test_networks_never_share_a_batch(engine) -> None:
    one, other = Watched(), Watched()
    one.gate.clear()
    answers = [engine.fly(flight(network, value, batch=4)) for value, network in enumerate([one, other, one, other])]
    one.gate.set()
    assert [round(float(scores(answer).max())) for answer in answers] == [0, 1, 2, 3]
    assert {value for batch in one.batches for value in batch} == {0, 2}


def test_a_small_scan_overtakes_a_large_one(engine) -> None:
    network = Watched()
    backend = Eager(network, CPU, "fp32")
    network.gate.clear()
    large = engine.fly(flight_on(backend, 1, side=16))
    small = engine.fly(flight_on(backend, 2))
    network.gate.set()
    scores(large), scores(small)
    shown = [value for batch in network.batches for value in batch]
    assert shown.index(2) <= 2
    assert shown.count(1) == 7**3


class Chores(Whole):
    """A sink with three chores of some length, which notes how many batches had been run at each."""

    def __init__(self, network: Watched, seconds: float) -> None:
        super().__init__()
        self.network, self.seconds, self.run = network, seconds, list[int]()

    def take(self, slab):
        for _ in range(3):
            time.sleep(self.seconds)
            self.run.append(len(self.network.batches))
            yield
        yield from super().take(slab)


@pytest.mark.parametrize(("short", "others_run"), [(60.0, 0), (0.001, 2)])
def test_short_chores_are_done_at_once_and_long_ones_let_others_on_to_the_device(
    engine, monkeypatch, short, others_run
) -> None:
    monkeypatch.setattr("skipseg.models.inference.engine.CHORES_S", short)
    network = Watched()
    backend, chores = Eager(network, CPU, "fp32"), Chores(network, seconds=0.002)
    small = Flight(torch.full((2, 4, 4, 4), 2.0), WAY, backend, lambda: [chores])
    for answer in behind_a_gate(engine, network, [flight_on(backend, 1, side=16), small]):
        scores(answer)
    assert chores.run[-1] - chores.run[0] == others_run


def test_a_flood_of_small_scans_does_not_starve_a_large_one() -> None:
    backend = Eager(Watched(), CPU, "fp32")
    large, small = flight_on(backend, 1, side=16), flight_on(backend, 2)
    leaders, began = [], large.asked
    for turn in range(1000):
        now = began + 0.1 * turn
        small.asked = now  # the next of many
        leader = in_turn([small, large], turn, now, lambda one: float(one.tiles_left))[0]
        leaders.append(leader)
    waited = int(10 * STARVING_S)
    assert large not in leaders[:waited]
    assert leaders[waited:].count(large) >= (1000 - waited) // GUARANTEE - 1


def test_equal_scans_are_served_one_after_the_other_however_long_that_takes() -> None:
    backend = Eager(Watched(), CPU, "fp32")
    first, second, third = (flight_on(backend, value, side=16) for value in (1, 2, 3))
    late = first.asked + 2 * STARVING_S
    assert {in_turn([third, second, first], turn, late, lambda one: 1.0)[0] for turn in range(100)} == {first}


def test_people_go_before_batch_jobs() -> None:
    backend = Eager(Watched(), CPU, "fp32")
    person, job = flight_on(backend, 1, side=16), flight_on(backend, 2, priority="batch")
    assert in_turn([job, person], 1, job.asked, lambda one: float(one.tiles_left)) == [person, job]


def test_a_scan_that_breaks_its_network_fails_alone(engine) -> None:
    network = Watched()
    backend = Eager(network, CPU, "fp32", batch=4)
    good, bad, other = behind_a_gate(engine, network, [flight_on(backend, value) for value in (1, -1, 2)])
    with pytest.raises(ZeroDivisionError):
        scores(bad)
    assert (scores(good) == 1).all()
    assert (scores(other) == 2).all()


def test_out_of_memory_makes_batches_smaller_and_loses_nobody(engine) -> None:
    network = Watched(most=2)
    backend = Eager(network, CPU, "fp32", batch=8)
    answers = behind_a_gate(engine, network, [flight_on(backend, value, side=7) for value in range(5)])
    assert [round(float(scores(answer).max())) for answer in answers] == [0, 1, 2, 3, 4]
    assert backend.batch <= 2
    assert engine.in_flight == 0


def test_what_does_not_fit_at_all_begins_anew_on_the_spare_backend(engine) -> None:
    network = Watched(most=0)
    moved = flight(network, 7, side=7, spare=lambda: Eager(nn.Identity(), CPU, "fp32"))
    torch.testing.assert_close(scores(engine.fly(moved)), torch.full((2, 7, 7, 7), 7.0))
    homeless = flight(network, 7)
    held = weakref.ref(homeless)
    answer = engine.fly(homeless)
    del homeless
    with pytest.raises(torch.OutOfMemoryError) as failure:
        scores(answer)
    assert ran_out(failure.value)
    gone_soon(held)  # the error, which is still there, holds nothing of it
    network.most = 1
    assert (scores(engine.fly(flight(network, 3))) == 3).all()


def test_a_cancelled_scan_frees_its_tiles(engine) -> None:
    network = Watched()
    backend = Eager(network, CPU, "fp32")
    network.gate.clear()
    given_up = flight_on(backend, 2, side=16)
    stays, leaves = engine.fly(flight_on(backend, 1)), engine.fly(given_up)
    held = weakref.ref(given_up)
    del given_up
    assert leaves.cancel()
    network.gate.set()
    scores(stays)
    scores(engine.fly(flight_on(backend, 3)))
    assert sum(batch.count(2) for batch in network.batches) <= 1
    assert engine.in_flight == 0
    gone_soon(held)


def test_closing_answers_everybody() -> None:
    engine, network = Engine(), Watched()
    network.gate.clear()
    answers = [engine.fly(flight(network, value, side=16)) for value in range(3)]
    engine.close()
    network.gate.set()
    for answer in [*answers, engine.fly(flight(network, 1))]:
        with pytest.raises(CancelledError):
            answer.result(timeout=60)
