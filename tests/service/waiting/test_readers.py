"""A scan is read when the device will soon be free for it, and a clearly smaller one at once."""

import asyncio
import io
import threading

import torch
from bundles import small_bundle, small_plan
from starlette.datastructures import UploadFile

from skipseg.models.inference.backends.eager import Eager
from skipseg.models.inference.engine import Engine
from skipseg.models.inference.flight import Flight, Way
from skipseg.models.inference.predictor import Predictor
from skipseg.models.inference.whole import Whole
from skipseg.models.inference.wishes import AS_PLANNED
from skipseg.models.scans.limits import DEFAULT_LIMITS
from skipseg.service.observing.record import RequestRecord
from skipseg.service.segmentation import Segmenter, Wanted
from skipseg.service.waiting.line import Line
from skipseg.service.waiting.readers import CLEARLY, Readers, Size
from skipseg.service.waiting.room import Room

WAY = Way((4, 4, 4), 3, 2, 0.5)
BACKEND, ANOTHER = (Eager(torch.nn.Identity(), torch.device("cpu"), "fp32") for _ in range(2))
MB = 1_000_000
LARGE = Size(BACKEND, WAY, 10 * MB)  # takes a second to read


def flight() -> Flight:
    return Flight(torch.zeros(2, 4, 4, 4), WAY, BACKEND, lambda: [Whole()])


def readers(most: int, left: dict[Flight, float]) -> Readers:
    return Readers(most, left.__getitem__)


async def read(waits: Readers, name: str, size: Size | None, free: dict[str, asyncio.Event], told: list[str]) -> None:
    """Waits for its turn, says so, and reads until it is free to go on."""
    async with waits.turn(size):
        told.append(name)
        await free[name].wait()


def order_of(waits: Readers, sizes: dict[str, Size | None], free: dict[str, asyncio.Event]) -> list[str]:
    """Begins to read all of them at once; each reads until it is free to go on. Names as they came to their turn."""
    told: list[str] = []

    async def all_of_them() -> None:
        tasks = [asyncio.create_task(read(waits, name, sizes[name], free, told)) for name in sizes]
        for name in sizes:
            await asyncio.sleep(0.01)
            free[name].set()
        await asyncio.gather(*tasks)

    asyncio.run(all_of_them())
    return told


def events(*names: str) -> dict[str, asyncio.Event]:
    return {name: asyncio.Event() for name in names}


def test_as_many_as_there_are_threads_are_read_in_the_order_they_came() -> None:
    waits = readers(1, {})
    sizes = {"a": LARGE, "b": None, "c": LARGE}
    assert order_of(waits, sizes, events(*sizes)) == ["a", "b", "c"]
    assert waits.free == 1


def test_a_large_scan_waits_until_the_device_is_nearly_free_for_it() -> None:
    ahead = flight()
    left = {ahead: 7.0}
    waits = readers(2, left)
    with waits.ahead(ahead, LARGE):
        assert waits.early_s(LARGE) == 6
        assert waits.early_s(Size(BACKEND, WAY, 20 * MB)) == 5
        left[ahead] = 0.9
        assert waits.early_s(LARGE) == 0
    left[ahead] = 7.0
    assert waits.early_s(LARGE) == 0


def test_of_those_that_come_at_once_as_many_are_read_as_the_device_will_soon_have_done() -> None:
    flights = {flight(): seconds for seconds in (0.4, 60.0)}
    fast, slow = flights
    waits = readers(4, flights)

    def read_beside_the_first() -> list[str]:
        names = ("a", "b", "c", "small")
        free, told = events(*names), list[str]()

        async def ask() -> None:
            reading = [asyncio.create_task(read(waits, name, sizes[name], free, told)) for name in names]
            await asyncio.sleep(0.01)
            beside = list(told)
            for event in free.values():
                event.set()
            await asyncio.gather(*reading)
            told[:] = beside

        asyncio.run(ask())
        return told

    sizes = dict.fromkeys(("a", "b", "c"), LARGE) | {"small": Size(BACKEND, WAY, MB)}
    assert read_beside_the_first() == ["a", "small"], "nothing is known yet of how long the device takes for such scans"
    with waits.ahead(slow, LARGE):
        pass
    assert read_beside_the_first() == ["a", "small"]
    with waits.ahead(fast, LARGE):
        pass
    assert read_beside_the_first() == ["a", "b", "c", "small"]


def test_what_might_overtake_is_read_at_once() -> None:
    ahead = flight()
    waits = readers(2, {ahead: 7.0})
    with waits.ahead(ahead, LARGE):
        assert waits.early_s(Size(BACKEND, WAY, 4 * MB)) == 0
        assert waits.early_s(Size(ANOTHER, WAY, 10 * MB)) == 0
        assert waits.early_s(Size(BACKEND, Way((4, 4, 4), 3, 2, 0.0), 10 * MB)) == 0
    with waits.ahead(ahead, None):
        assert waits.early_s(LARGE) == 0


def test_those_that_wait_are_passed_by_small_ones_and_go_when_the_one_ahead_is_answered() -> None:
    ahead = flight()
    waits = readers(1, {ahead: 60.0})
    told: list[str] = []

    async def read(name: str, size: Size) -> None:
        async with waits.turn(size):
            told.append(name)

    async def ask() -> None:
        with waits.ahead(ahead, LARGE):
            large = asyncio.create_task(read("large", LARGE))
            left = asyncio.create_task(read("left", LARGE))
            await asyncio.sleep(0.01)
            await read("small", Size(BACKEND, WAY, MB))
            left.cancel()
            await asyncio.sleep(0.01)
        await asyncio.wait_for(large, 30)

    asyncio.run(ask())
    assert told == ["small", "large"]
    assert waits.free == 1


def test_who_comes_when_the_device_is_free_does_not_pass_those_that_were_held_back() -> None:
    ahead = flight()
    left = {ahead: 60.0}
    waits, told, free = readers(1, left), list[str](), events("first", "second")
    for event in free.values():
        event.set()

    async def ask() -> None:
        with waits.ahead(ahead, LARGE):
            first = asyncio.create_task(read(waits, "first", LARGE, free, told))
            await asyncio.sleep(0.01)
            left[ahead] = 0.0  # which nobody is told
            second = asyncio.create_task(read(waits, "second", LARGE, free, told))
            await asyncio.wait_for(asyncio.gather(first, second), 30)

    asyncio.run(ask())
    assert told == ["first", "second"]


class Waits(torch.nn.Module):
    """A network that answers nothing until it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may = threading.Event()

    def forward(self, tiles: torch.Tensor) -> torch.Tensor:
        self.may.wait()
        return tiles.repeat(1, 3, 1, 1, 1)


def test_equal_scans_are_answered_one_after_the_other_and_read_no_earlier_than_needed(tmp_path, make_scan) -> None:
    network, engine = Waits(), Engine()
    predictor = Predictor(
        small_bundle(tmp_path / "bundle", small_plan(tile=(8, 8, 8))),
        backend=Eager(network, torch.device("cpu"), "fp32"),
    )
    large, small = make_scan(), make_scan(shape=(9, 9, 9))
    assert len(small) < CLEARLY * len(large)
    segmenter = Segmenter(engine, Line(9, engine.seconds_left), Room(2**30), 2, DEFAULT_LIMITS)
    records = {name: RequestRecord(name) for name in ("first", "second", "third", "small")}

    async def ask(name: str, scan: bytes) -> None:
        upload = UploadFile(io.BytesIO(scan), size=len(scan))
        await segmenter.segment([upload], predictor, AS_PLANNED, Wanted(), records[name])

    async def ask_all() -> None:
        asked = [asyncio.create_task(ask("first", large))]
        while engine.in_flight < 1 and not asked[0].done():
            await asyncio.sleep(0.01)
        asked += [asyncio.create_task(ask(name, large)) for name in ("second", "third")]
        asked.append(asyncio.create_task(ask("small", small)))
        while engine.in_flight < 2 and not any(task.done() for task in asked):
            await asyncio.sleep(0.01)
        read = [name for name, record in records.items() if record.shape is not None]
        network.may.set()
        await asyncio.gather(*asked)
        assert read == ["first", "small"]

    asyncio.run(ask_all())
    engine.close(wait=True)
    through = sorted(records, key=lambda name: left_the_network(records[name]))
    assert set(through[:2]) == {"small", "first"}
    assert through[2:] == ["second", "third"]


def left_the_network(record: RequestRecord) -> float:
    """When; what comes after it is done on several threads, one of which may pass another."""
    [stay] = [interval for interval in record.stages.intervals if interval.stage == "network"]
    return stay.ended
