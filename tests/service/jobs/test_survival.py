"""What is promised is done, whatever dies: processes, machines' disks, databases.

An item may be computed twice; its outcome is recorded once.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from bundles import small_bundle
from deadly_scans import FATAL_LENGTH, deadly
from jobs import Mortal, children, mortal, until
from postgres import Postgres, postgres
from servers import environment, registry_without_shipped

from skipseg.service.jobs.database import open_database
from skipseg.service.jobs.tables import OUTCOMES


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    registry_without_shipped(folder).add(small_bundle(tmp_path / "bundle").folder)
    return folder


@pytest.fixture
def scans(tmp_path: Path, make_scan) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    for seed in range(48):
        (folder / f"{seed:02}.nii.gz").write_bytes(make_scan(seed=seed))
    return folder


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    with postgres() as running:
        yield running


def settings_for(scans: Path, **more: object) -> dict[str, object]:
    return {"allowed_roots": f'["{scans.parent}"]', "device": "cpu", **more}


def undisturbed(mortal: Mortal, scans: Path) -> dict[str, str]:
    mortal.serve()
    job = mortal.job_of(scans)
    assert mortal.ended(job)["state"] == "succeeded"
    return mortal.masks(job)


def killed_again_and_again(mortal: Mortal, job: str, times: int, chance: random.Random, longest: float) -> None:
    """Killed ``times`` times, or until the job has ended."""
    for _ in range(times):
        time.sleep(chance.uniform(0.2, longest))
        mortal.kill()
        mortal.serve()


def recorded_once(url: str, job: str, total: int) -> None:
    with open_database(url).connect() as connection:
        items = list(connection.execute(sa.select(OUTCOMES.c.item).where(OUTCOMES.c.job == job)).scalars())
    assert sorted(items) == list(range(total))


def last_to_record(url: str, job: str) -> int:
    """The process id of a worker in the midst of a portion: the latest outcome is its own."""
    with open_database(url).connect() as connection:
        latest = sa.select(OUTCOMES.c.worker).where(OUTCOMES.c.job == job).order_by(OUTCOMES.c.ended.desc()).limit(1)
        return int(connection.execute(latest).scalar_one().split("-")[-2])


def sqlite_of(data: Path) -> str:
    return f"sqlite:///{data / 'jobs.sqlite'}"


def test_a_job_ends_as_if_nobody_had_been_killed(data, scans) -> None:
    with mortal(data, **settings_for(scans)) as server:
        expected = undisturbed(server, scans)
        job = server.job_of(scans)
        killed_again_and_again(server, job, 3, random.Random(0), 6)
        assert server.ended(job)["progress"] == {"done": 48, "failed": 0, "total": 48}
        assert server.masks(job) == expected
        on_disk = {path.name.partition("-")[0] for path in (data / "jobs" / job / "masks").iterdir()}
        assert len(on_disk) == 48
    recorded_once(sqlite_of(data), job, 48)


def test_so_it_does_with_a_database_that_is_stopped_hard(data, scans, database) -> None:
    with mortal(data, **settings_for(scans, jobs_database=database.url)) as server:
        expected = undisturbed(server, scans)
        job = server.job_of(scans)
        until(lambda: server.get(f"/v1/jobs/{job}").json()["progress"]["done"] > 0)
        database.stop()
        time.sleep(2)
        assert server.get(f"/v1/jobs/{job}").status_code == 503
        assert server.get("/healthz").status_code == 200
        database.start()
        killed_again_and_again(server, job, 1, random.Random(1), 4)
        assert server.ended(job)["progress"] == {"done": 48, "failed": 0, "total": 48}
        assert server.masks(job) == expected
    recorded_once(database.url, job, 48)


def test_what_a_worker_had_in_hand_when_it_died_for_good_is_done_by_another(data, scans) -> None:
    with mortal(data, **settings_for(scans, workers=0)) as server:
        server.serve()
        workers = [server.worker(), server.worker()]
        until(lambda: (data / "worker.log").read_text().count("worker ready") == 2)
        job = server.job_of(scans)
        until(lambda: server.get(f"/v1/jobs/{job}").json()["progress"]["done"] > 0)
        busy = last_to_record(sqlite_of(data), job)
        [dying] = [worker for worker in workers if worker.pid == busy]
        dying.kill()
        dying.wait()
        assert server.ended(job)["progress"] == {"done": 48, "failed": 0, "total": 48}
        assert [worker.poll() for worker in workers].count(None) == 1


@pytest.mark.slow
def test_one_that_was_frozen_and_taken_for_dead_does_no_harm(data, scans) -> None:
    with mortal(data, **settings_for(scans, workers=0)) as server:
        server.serve()
        frozen, _ = server.worker(), server.worker()
        job = server.job_of(scans)
        until(lambda: server.get(f"/v1/jobs/{job}").json()["progress"]["done"] > 0)
        frozen.send_signal(signal.SIGSTOP)
        assert server.ended(job, within=60)["progress"]["done"] == 48
        frozen.send_signal(signal.SIGCONT)
        assert frozen.wait(30) == 1
    recorded_once(sqlite_of(data), job, 48)


def test_a_scan_that_kills_its_worker_is_parked_and_the_others_succeed(data, scans, make_scan) -> None:
    (scans / "deadly.nii.gz").write_bytes(make_scan((FATAL_LENGTH, 24, 13)))
    with mortal(data, **settings_for(scans, workers=0)) as server:
        server.serve()
        job = server.job_of(scans)
        deaths = 0
        while server.get(f"/v1/jobs/{job}").json()["ended"] is None:
            command = [*deadly(signal.SIGSEGV), "worker", "--data", str(data)]
            worker = subprocess.Popen(command, env=environment(server.settings))
            until(lambda worker=worker: worker.poll() is not None or server.get(f"/v1/jobs/{job}").json()["ended"], 300)
            assert worker.poll() in (None, -signal.SIGSEGV)
            deaths += worker.poll() is not None
            worker.kill()
            worker.wait()
        assert deaths == 3
        items = {item["name"]: item for item in server.items(job)}
        assert {item["state"] for name, item in items.items() if name != "deadly"} == {"done"}
        assert items["deadly"]["state"] == "failed"
        assert items["deadly"]["code"] == "parked"
        assert "not tried again" in items["deadly"]["problem"]


@pytest.mark.slow
def test_the_server_lives_when_its_worker_does_not(data, scans) -> None:
    with mortal(data, **settings_for(scans)) as server:
        server.serve()
        job = server.job_of(scans)
        [parent] = server.processes
        until(lambda: server.get(f"/v1/jobs/{job}").json()["progress"]["done"] > 0)
        for child in children(parent.pid):
            os.kill(child, signal.SIGKILL)
        assert server.get("/healthz").status_code == 200
        assert server.ended(job)["progress"]["done"] == 48


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0 or sys.platform != "linux", reason="only root can mount a small disk")
def test_a_full_disk_is_waited_for(data, scans) -> None:
    results = data / "jobs"
    results.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(results)], check=True)
    try:
        with mortal(data, **settings_for(scans)) as server:
            server.serve()
            (results / "filler").write_bytes(bytes(220 * 1024))
            job = server.job_of(scans)
            until(lambda: "no room" in (data / "server.log").read_text())
            assert server.get(f"/v1/jobs/{job}").json()["state"] == "running"
            (results / "filler").unlink()
            assert server.ended(job)["progress"] == {"done": 48, "failed": 0, "total": 48}
    finally:
        subprocess.run(["umount", "-l", str(results)], check=False)


@pytest.mark.slow
@pytest.mark.parametrize("with_postgres", [False, True])
def test_a_folder_of_208_scans_survives_20_deaths(tmp_path, real_data, database, with_postgres) -> None:
    scans, data = real_data("hippocampus") / "imagesTr", tmp_path / "data"
    data.mkdir()
    more = {"jobs_database": database.url} if with_postgres else {}
    with mortal(data, **settings_for(scans, **more)) as server:
        expected = undisturbed(server, scans)
        job = server.job_of(scans)
        killed_again_and_again(server, job, 20, random.Random(7), 9)
        assert server.ended(job)["progress"] == {"done": 208, "failed": 0, "total": 208}
        assert server.masks(job) == expected
    recorded_once(database.url if with_postgres else sqlite_of(data), job, 208)
