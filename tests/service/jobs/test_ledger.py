"""The ledger, on each of its databases: what is recorded once stays so, whoever comes at the same moment."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from postgres import postgres

from skipseg.models.errors import JobConflict, JobUnknown
from skipseg.service.jobs.database import open_database
from skipseg.service.jobs.ledger import Ledger
from skipseg.service.jobs.records import Job, Outcome, state_of


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def ledger(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    if request.param == "sqlite":
        yield Ledger(open_database(f"sqlite:///{tmp_path_factory.mktemp('jobs') / 'jobs.sqlite'}"))
    else:
        with postgres() as server:
            found = Ledger(open_database(server.url))
            yield found
            found.engine.dispose()


@pytest.fixture
def job(ledger: Ledger, request: pytest.FixtureRequest) -> str:
    return ledger.add(new(f"{abs(hash(request.node.nodeid)):032x}"[-32:]), lambda connection: None).id


def new(id: str, total: int = 4, key: str | None = None) -> Job:
    return Job(id=id, kind="segment", order="{}", total=total, priority=10, made=1.0, idempotency_key=key)


def outcome(item: int, state: str = "done", worker: str = "a", content: str | None = None) -> Outcome:
    return Outcome(item=item, state=state, ended=2.0, worker=worker, result="{}", content=content)


def test_of_many_who_record_one_item_at_once_the_first_wins(ledger, job) -> None:
    with ThreadPoolExecutor(8) as threads:
        won = list(threads.map(lambda name: ledger.record(job, outcome(0, worker=str(name))), range(24)))
    assert sum(won) == 1
    [recorded] = ledger.outcomes(job)
    assert recorded.worker == str(won.index(True))


def test_an_order_with_a_known_key_gives_the_job_that_is_there(ledger) -> None:
    queued = []
    jobs = [new(f"{number:032x}", key=f"once-{ledger.engine.dialect.name}") for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        kept = list(threads.map(lambda job: ledger.add(job, lambda connection: queued.append(job.id)), jobs))
    assert len({job.id for job in kept}) == 1
    assert queued == [kept[0].id]


def test_what_cannot_be_queued_is_not_written_down(ledger) -> None:
    def fails(connection) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        ledger.add(new("f" * 32), fails)
    with pytest.raises(JobUnknown):
        ledger.job("f" * 32)


def test_a_job_ends_with_its_last_item_and_once(ledger, job) -> None:
    for item in range(4):
        assert not ledger.end_if_done(job)
        ledger.record(job, outcome(item, "failed" if item == 2 else "done"))
    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(lambda _: ledger.end_if_done(job), range(4))) == 1
    assert ledger.by_state()["succeeded"] >= 1
    counts = ledger.counts([job])[job]
    assert (counts.done, counts.failed) == (3, 1)
    assert state_of(ledger.job(job), counts) == "succeeded"


def test_only_what_failed_is_done_again(ledger, job) -> None:
    for item in range(4):
        ledger.record(job, outcome(item, "failed" if item in (1, 3) else "done"))
    with pytest.raises(JobConflict, match="still running"):
        ledger.retry(job, lambda *given: None)
    ledger.end_if_done(job)
    queued = []

    def retry() -> bool:
        try:
            ledger.retry(job, lambda connection, again, items: queued.append((again.round, items)))
        except JobConflict:
            return False
        return True

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(lambda _: retry(), range(4))) == 1
    assert queued == [(1, [1, 3])]
    assert [found.item for found in ledger.outcomes(job)] == [0, 2]


def test_after_a_cancel_nothing_more_is_recorded_and_what_is_stays(ledger, job) -> None:
    ledger.begin(job, [0, 1], alone=False)
    assert ledger.record(job, outcome(0))
    assert ledger.cancel(job).cancelled
    assert ledger.cancel(job).cancelled
    assert not ledger.record(job, outcome(1))
    assert ledger.cancelled([job, "e" * 32]) == {job, "e" * 32}
    assert [found.item for found in ledger.outcomes(job)] == [0]
    queued = []
    ledger.retry(job, lambda connection, again, items: queued.append(items))
    assert queued == [[1, 2, 3]]


def test_deaths_alone_are_counted_apart(ledger, job) -> None:
    ledger.begin(job, [0, 1, 2], alone=False)
    ledger.begin(job, [1], alone=True)
    ledger.begin(job, [1], alone=True)
    ledger.record(job, outcome(2))
    assert ledger.left(job, [0, 1, 2, 3]) == {0: 0, 1: 2, 3: None}


def test_what_ended_in_order_is_not_blamed(ledger, job) -> None:
    ledger.begin(job, [0, 1], alone=False)
    ledger.begin(job, [1], alone=True)
    ledger.take_back(job, [0], alone=False)
    ledger.take_back(job, [1], alone=True)
    assert ledger.left(job, [0, 1]) == {0: None, 1: 0}


def test_the_same_content_is_found_again(ledger, job) -> None:
    ledger.record(job, outcome(0, content="c" * 64))
    ledger.record(job, outcome(1, "failed", content="d" * 64))
    found = ledger.find("c" * 64)
    assert found is not None
    assert (found[0], found[1].item) == (job, 0)
    assert ledger.find("d" * 64) is None


def test_what_is_forgotten_is_unknown(ledger, job) -> None:
    ledger.record(job, outcome(0))
    assert not ledger.forget(job)
    ledger.cancel(job)
    assert ledger.forget(job)
    with pytest.raises(JobUnknown):
        ledger.job(job)
    assert not ledger.outcomes(job)
    assert not ledger.record(job, outcome(0))


def test_a_database_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    from skipseg.models.errors import UsageError

    with pytest.raises(UsageError, match="SKIPSEG_JOBS_DATABASE"):
        open_database(f"sqlite:///{tmp_path / 'nowhere' / 'jobs.sqlite'}")
