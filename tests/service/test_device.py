"""One thread owns the device; what a client gave up never runs."""

import asyncio
import io
import threading

import pytest
from bundles import small_bundle
from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect, Request

from skipseg.models.errors import QueueFull
from skipseg.models.inference.predictor import Predictor
from skipseg.models.scans.limits import DEFAULT_LIMITS
from skipseg.service.device import Device
from skipseg.service.disconnect import unless_gone
from skipseg.service.record import RequestRecord
from skipseg.service.segmentation import Segmenter


@pytest.fixture
def device():
    device = Device(places=2)
    yield device
    device.close()


def test_work_is_done_in_order_on_one_thread(device: Device) -> None:
    done: list[int] = []
    threads = [device.submit(lambda n=n: (done.append(n), threading.get_ident())) for n in range(20)]
    assert len({future.result()[1] for future in threads}) == 1
    assert done == list(range(20))


def test_an_error_goes_to_whom_it_concerns(device: Device) -> None:
    with pytest.raises(ZeroDivisionError):
        device.submit(lambda: 1 / 0).result()
    assert device.submit(lambda: 7).result() == 7


def test_closing_does_not_wait_for_what_runs_and_drops_what_does_not() -> None:
    device, turn, began = Device(places=2), threading.Event(), threading.Event()
    running, waiting = device.submit(lambda: (began.set(), turn.wait())), device.submit(lambda: 7)
    began.wait()
    closing = threading.Thread(target=device.close, daemon=True)
    closing.start()
    closing.join(timeout=30)
    still_closing = closing.is_alive()
    turn.set()
    running.result()
    assert not still_closing
    assert waiting.cancelled()


def test_places_are_bounded_and_given_back(device: Device) -> None:
    with device.place():
        with device.place(), pytest.raises(QueueFull) as refusal, device.place():
            pass
        device.check_room()
    assert device.taken == 0
    assert refusal.value.retry_after_s >= 1


def test_a_place_is_given_back_when_work_fails(device: Device) -> None:
    with pytest.raises(ZeroDivisionError), device.place():
        raise ZeroDivisionError
    assert device.taken == 0


def test_a_scan_whose_client_left_before_its_turn_never_runs(device: Device, tmp_path, scan) -> None:
    record, left = RequestRecord("0" * 32), asyncio.Event()
    segmenter = Segmenter(device, 2, DEFAULT_LIMITS)
    predictor = Predictor(small_bundle(tmp_path / "bundle"), "cpu")
    turn = threading.Event()
    device.submit(turn.wait)

    async def client_leaves_while_the_scan_waits() -> None:
        request = Request({"type": "http"}, _disconnects_after(left))
        upload = UploadFile(_file(scan), size=len(scan))
        asked = asyncio.create_task(unless_gone(request, lambda: segmenter.segment([upload], predictor, None, record)))
        while "preprocess" not in record.stages.seconds:
            await asyncio.sleep(0.01)
        left.set()
        with pytest.raises(ClientDisconnect):
            await asked

    asyncio.run(client_leaves_while_the_scan_waits())
    turn.set()
    device.submit(lambda: None).result()
    assert "network" not in record.stages.seconds
    assert device.taken == 0


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
