"""Results and uploads go when their time has come, and not before."""

import os
from pathlib import Path
from time import time

import pytest
from bundles import small_bundle
from servers import registry_without_shipped

from skipseg.models.errors import JobUnknown, UploadUnknown
from skipseg.service.datasets.store import DatasetStore
from skipseg.service.jobs.jobs import Jobs
from skipseg.service.jobs.orders import SegmentOrder
from skipseg.service.jobs.records import Outcome
from skipseg.service.jobs.sweep import DAY_S, UNFINISHED_S, find_the_lost, sweep
from skipseg.service.retraining.preparing import Stores
from skipseg.service.settings import Settings
from skipseg.service.store.uploads import CONTENT, UploadStore


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data", workers=0, keep_results_days=2, keep_uploads_days=1)


@pytest.fixture
def jobs(settings: Settings, tmp_path: Path):
    settings.data.mkdir()
    registry = registry_without_shipped(settings.data)
    registry.add(small_bundle(tmp_path / "bundle").folder)
    found = Jobs(settings, Stores(DatasetStore(settings.datasets), registry), UploadStore(settings.uploads))
    yield found
    found.close()


def uploaded(jobs: Jobs, content: bytes) -> str:
    draft = jobs.uploads.draft()
    (draft / CONTENT).write_bytes(content)
    return jobs.uploads.keep(draft, "scan.nii.gz", "0" * 64).id


def job_on(jobs: Jobs, upload: str) -> str:
    order = SegmentOrder(kind="segment", inputs={"upload": upload})
    return jobs.submit(order, "small@1", None, None).id


def end(jobs: Jobs, job: str) -> None:
    jobs.ledger.record(job, Outcome(item=0, state="failed", ended=time(), worker="w", result="{}"))
    assert jobs.ledger.end_if_done(job)


def test_an_ended_job_goes_with_its_results_after_its_days(jobs, settings, scan) -> None:
    job = job_on(jobs, uploaded(jobs, scan))
    end(jobs, job)
    sweep(jobs, settings, time() + 1.9 * DAY_S)
    assert jobs.ledger.job(job).ended
    assert jobs.folders.folder(job).is_dir()
    sweep(jobs, settings, time() + 2.1 * DAY_S)
    assert not jobs.folders.folder(job).exists()
    with pytest.raises(JobUnknown):
        jobs.ledger.job(job)


def test_an_upload_stays_as_long_as_a_job_needs_it(jobs, settings, scan) -> None:
    needed, other = uploaded(jobs, scan), uploaded(jobs, scan)
    job = job_on(jobs, needed)
    sweep(jobs, settings, time() + 1.1 * DAY_S)
    assert jobs.uploads.get(needed)
    with pytest.raises(UploadUnknown):
        jobs.uploads.get(other)
    end(jobs, job)
    sweep(jobs, settings, time() + 1.1 * DAY_S)
    with pytest.raises(UploadUnknown):
        jobs.uploads.get(needed)


def test_what_the_dead_left_behind_goes(jobs, settings) -> None:
    draft, lost, fresh = jobs.uploads.draft(), jobs.folders.make("0" * 32), jobs.folders.make("1" * 32)
    os.utime(lost, (time() - 3 * DAY_S,) * 2)
    os.utime(draft, (time() - 2 * UNFINISHED_S,) * 2)
    sweep(jobs, settings, time())
    assert not draft.exists()
    assert not lost.exists()
    assert fresh.exists()


def test_a_job_that_the_queue_has_lost_is_queued_anew(jobs, settings, scan) -> None:
    job = job_on(jobs, uploaded(jobs, scan))
    find_the_lost(jobs, settings, time())
    assert jobs.ledger.job(job).round == 0
    jobs.queue.forget(job)
    find_the_lost(jobs, settings, time())
    assert jobs.ledger.job(job).round == 1
    assert jobs.queue.holds(job)
