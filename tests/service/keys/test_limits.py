"""How much one caller may ask, and that others are not held up by it."""

import threading

import httpx
import pytest
from keyholders import app_of
from servers import in_thread

from skipseg.service.keys.limits import KEPT, CallerLimits
from skipseg.service.refusals import TooManyRequests


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def ask(limits: CallerLimits, name: str = "a", times: int = 1) -> None:
    for _ in range(times):
        with limits.slot(name):
            pass


def test_a_minutes_worth_may_be_asked_at_once_and_comes_back_with_time() -> None:
    clock = Clock()
    limits = CallerLimits(per_minute=6, at_once=0, clock=clock)
    ask(limits, times=6)
    with pytest.raises(TooManyRequests) as refused:
        ask(limits)
    assert refused.value.retry_after_s == 10
    clock.now = 9.9
    with pytest.raises(TooManyRequests) as refused:
        ask(limits)
    assert refused.value.retry_after_s == 1
    clock.now = 10.0
    ask(limits)
    clock.now = 1000.0
    ask(limits, times=6)
    with pytest.raises(TooManyRequests):
        ask(limits)


def test_one_callers_haste_costs_no_other_anything() -> None:
    limits = CallerLimits(per_minute=1, at_once=1, clock=Clock())
    with limits.slot("a"), pytest.raises(TooManyRequests, match="under way at once"):
        ask(limits, "a")
    ask(limits, "b")


def test_a_request_that_fails_gives_its_place_back() -> None:
    limits = CallerLimits(per_minute=0, at_once=1)
    with pytest.raises(ZeroDivisionError), limits.slot("a"):
        1 / 0  # noqa: B018
    ask(limits)


def test_zero_is_no_limit() -> None:
    limits = CallerLimits(per_minute=0, at_once=0, clock=Clock())
    with limits.slot("a"), limits.slot("a"):
        ask(limits, times=1000)


def test_callers_are_forgotten_when_that_changes_nothing() -> None:
    """Many tokens of an issuer, each once, must not fill the memory; one who has just asked is not let off."""
    clock = Clock()
    limits = CallerLimits(per_minute=1, at_once=0, clock=clock)
    for number in range(KEPT):
        ask(limits, str(number))
    clock.now = 59.0
    ask(limits, "late")
    with pytest.raises(TooManyRequests):
        ask(limits, "late")
    clock.now = 61.0
    ask(limits, "later")
    with pytest.raises(TooManyRequests):
        ask(limits, "late")
    assert len(limits._callers) == 2


def test_a_key_that_asks_too_often_is_told_when_to_come_back(guarded_with) -> None:
    with guarded_with(requests_per_minute=2) as server:
        hasty, other = server.with_key("read"), server.with_key("read")
        answers = [server.client.get("/v1/info", headers=hasty) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        told = answers[-1].json()
        assert (told["code"], "2 times a minute" in told["detail"]) == ("too_many_requests", True)
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 30
        assert server.client.get("/v1/info", headers=other).status_code == 200
        assert [server.client.get("/healthz").status_code for _ in range(5)] == [200] * 5


def test_without_keys_the_limit_is_that_of_everybody_together(guarded_with) -> None:
    with guarded_with(requests_per_minute=2) as server:
        assert [server.client.get("/v1/info").status_code for _ in range(3)] == [200, 200, 429]


def test_a_key_has_only_so_many_requests_under_way(tmp_path) -> None:
    app = app_of(tmp_path, concurrent_requests=1)
    begun, go_on = threading.Event(), threading.Event()

    @app.get("/v1/long")
    def long() -> str:
        begun.set()
        assert go_on.wait(60)
        return "done"

    with in_thread(app) as url, httpx.Client(base_url=url, timeout=60) as client:
        answers = []
        first = threading.Thread(target=lambda: answers.append(httpx.get(f"{url}/v1/long", timeout=60)))
        first.start()
        assert begun.wait(60)
        second = client.get("/v1/info")
        go_on.set()
        first.join()
        assert (second.status_code, second.json()["code"]) == (429, "too_many_requests")
        assert second.headers["Retry-After"] == "1"
        assert answers[0].status_code == 200
        assert client.get("/v1/info").status_code == 200
