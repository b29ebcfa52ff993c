"""What waits, waits in a line of bounded length and bounded memory; what a client gave up never runs."""

import asyncio
import io
import threading
import time

import pytest
import torch
from bundles import small_bundle
from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect, Request
from torch import nn

from skipseg.models.errors import QueueFull, ScanTooLarge
from skipseg.models.inference.backends.eager import Eager
from skipseg.models.inference.engine import Engine
from skipseg.models.inference.flight import Flight, Way
from skipseg.models.inference.predictor import Predictor
from skipseg.models.inference.whole import Whole
from skipseg.models.inference.wishes import AS_PLANNED
from skipseg.models.scans.limits import DEFAULT_LIMITS
from skipseg.service.disconnect import unless_gone
from skipseg.service.observing.record import RequestRecord
from skipseg.service.segmentation import Segmenter, Wanted
from skipseg.service.waiting.line import Line
from skipseg.service.waiting.room import Room


@pytest.fixture
def line():
    return Line(places=2, seconds_left=lambda: 7.0)


def test_places_are_bounded_and_given_back(line: Line) -> None:
    with line.place():
        with line.place(), pytest.raises(QueueFull) as refusal, line.place():
            pass
        line.check_room()
    assert line.taken == 0
    assert refusal.value.retry_after_s >= 1


def test_a_place_is_given_back_when_work_fails(line: Line) -> None:
    with pytest.raises(ZeroDivisionError), line.place():
        raise ZeroDivisionError
    assert line.taken == 0


def test_a_scan_whose_client_left_before_its_turn_never_runs(line: Line, tmp_path, scan) -> None:
    record, left, turn = RequestRecord("0" * 32), asyncio.Event(), threading.Event()
    engine = Engine()
    predictor = Predictor(small_bundle(tmp_path / "bundle"), "cpu")
    engine.fly(waits_for(turn))

    async def client_leaves_while_the_scan_waits() -> None:
        segmenter = Segmenter(engine, line, Room(2**30), 2, DEFAULT_LIMITS)
        request = Request({"type": "http"}, _disconnects_after(left))
        upload = UploadFile(_file(scan), size=len(scan))
        asked = asyncio.create_task(
            unless_gone(request, lambda: segmenter.segment([upload], predictor, AS_PLANNED, Wanted(), record))
        )
        while engine.in_flight < 2 and not asked.done():
            await asyncio.sleep(0.01)
        left.set()
        with pytest.raises(ClientDisconnect):
            await asked

    asyncio.run(client_leaves_while_the_scan_waits())
    turn.set()
    while engine.in_flight:
        time.sleep(0.01)
    engine.close()
    assert "network" not in record.stages.seconds
    assert line.taken == 0


def waits_for(turn: threading.Event) -> Flight:
    """A scan whose network does nothing until then."""

    class Waits(nn.Module):
        def forward(self, tiles):
            turn.wait()
            return tiles

    backend = Eager(Waits(), torch.device("cpu"), "fp32")
    return Flight(torch.zeros(2, 4, 4, 4), Way((4, 4, 4), 3, 2, 0.5), backend, lambda: [Whole()])


def test_memory_is_waited_for_given_back_and_never_promised_beyond_what_there_is() -> None:
    async def ask() -> list[str]:
        room, told, free = Room(10), [], asyncio.Event()

        async def take(name: str, count: int) -> None:
            async with room.hold(count):
                told.append(name)
                assert room.held <= 10
                await free.wait()

        scans = [asyncio.create_task(take(name, count)) for name, count in (("a", 6), ("b", 6), ("c", 4))]
        await asyncio.sleep(0.01)
        assert told == ["a", "c"]
        free.set()
        await asyncio.gather(*scans)
        assert room.held == 0
        with pytest.raises(ScanTooLarge, match="SKIPSEG_SCAN_MEMORY"):
            await take("d", 11)
        return told

    assert asyncio.run(ask()) == ["a", "c", "b"]


def test_work_whose_client_stays_is_answered() -> None:
    async def answered() -> int:
        return 7

    async def ask() -> int:
        return await unless_gone(Request({"type": "http"}, _disconnects_after(asyncio.Event())), answered)

    assert asyncio.run(ask()) == 7


def _disconnects_after(event: asyncio.Event):
    async def receive():
        await event.wait()
        return {"type": "http.disconnect"}

    return receive


def _file(content: bytes):
    return io.BytesIO(content)
