"""``skipseg segment FOLDER`` that dies, however it does: the same command goes on, and nothing innocent is parked."""

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bundles import small_bundle
from deadly_scans import FATAL_LENGTH, deadly
from servers import PATIENCE_S, environment

from skipseg.models.errors import UsageError
from skipseg.models.inference.predictor import Predictor
from skipseg.service.commands.batch import Batch
from skipseg.service.commands.cases import collect
from skipseg.service.commands.folder_ledger import LEDGER, FolderLedger, opened
from skipseg.service.commands.results import RESULTS


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    return Predictor(small_bundle(tmp_path_factory.mktemp("bundle") / "small"), "cpu")


@pytest.fixture
def scans(tmp_path: Path, make_scan) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    for name in ("a", "b", "c"):
        (folder / f"{name}.nii.gz").write_bytes(make_scan())
    return folder


@contextmanager
def dying(out: Path, *scans: str) -> Iterator[FolderLedger]:
    """The ledger of a run that gets no chance to put anything down."""
    out.mkdir(exist_ok=True)
    with opened(out, scans) as ledger:
        yield ledger
        ledger._hands.clear()


def run(predictor: Predictor, scans: Path, out: Path, resume: bool = True) -> dict[str, dict[str, str]]:
    Batch(predictor, "small 1", out, None).run(collect([scans], 1, out), resume, lambda done, total: None)
    return table(out)


def table(out: Path) -> dict[str, dict[str, str]]:
    with (out / RESULTS).open(newline="") as file:
        return {row["scan"]: row for row in csv.DictReader(file)}


def states(out: Path) -> dict[str, str]:
    return {scan: row["state"] for scan, row in table(out).items()}


def die(out: Path, *scans: str, alone: bool = False) -> None:
    with dying(out, *scans) as ledger:
        for scan in scans:
            ledger.begin(scan, alone)


def test_who_was_in_hand_when_the_process_died_is_done_and_nobody_parked(predictor, scans, tmp_path) -> None:
    """The second death finds one of them alone: a process that is killed from outside twice blames no scan."""
    out = tmp_path / "out"
    die(out, "a", "b", "c")
    die(out, "b", alone=True)
    assert set(states_of(run(predictor, scans, out)).values()) == {"done"}


def test_a_scan_that_died_twice_alone_is_parked_and_the_rest_succeed(predictor, scans, tmp_path) -> None:
    out = tmp_path / "out"
    die(out, "a", "b")
    for _ in range(2):
        die(out, "b", alone=True)
    found = run(predictor, scans, out)
    assert states_of(found) == {"a": "done", "b": "failed", "c": "done"}
    assert "died 2 times" in found["b"]["problem"]
    assert not (out / "b.nii.gz").exists()
    assert run(predictor, scans, out) == found


@pytest.mark.parametrize("way", ["changed", "not resumed"])
def test_a_parked_scan_gets_another_chance(predictor, scans, tmp_path, make_scan, way: str) -> None:
    out = tmp_path / "out"
    for _ in range(2):
        die(out, "b", alone=True)
    assert states_of(run(predictor, scans, out))["b"] == "failed"
    if way == "changed":
        (scans / "b.nii.gz").write_bytes(make_scan(seed=5))
    assert states_of(run(predictor, scans, out, resume=way == "changed"))["b"] == "done"


def test_a_scan_that_was_being_done_again_when_the_process_died_is_not_taken_for_done(
    predictor, scans, tmp_path
) -> None:
    out = tmp_path / "out"
    run(predictor, scans, out)
    made = (out / "a.nii.gz").stat().st_mtime_ns
    die(out, "a")
    run(predictor, scans, out)
    assert (out / "a.nii.gz").stat().st_mtime_ns > made


def test_a_ledger_that_is_none_is_said_and_left_alone(predictor, scans, tmp_path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / LEDGER).write_bytes(b"no database at all" * 100)
    with pytest.raises(UsageError, match="cannot be opened"):
        run(predictor, scans, tmp_path / "out")
    assert (tmp_path / "out" / LEDGER).read_bytes() == b"no database at all" * 100


@pytest.mark.slow
def test_a_command_that_is_killed_again_and_again_goes_on(scans, tmp_path, make_scan) -> None:
    bundle, out = small_bundle(tmp_path / "bundle").folder, tmp_path / "out"
    for number in range(200):
        (scans / f"{number:03}.nii.gz").write_bytes(make_scan((40, 40, 40), seed=number))
    kept = dict[str, int]()
    for rows in (20, 60, 100):
        with started([sys.executable, "-m", "skipseg"], bundle, scans, out) as process:
            until_recorded(process, out, rows)
            process.kill()
        masks = {str(mask): mask.stat().st_mtime_ns for mask in out.glob("*.nii.gz")}
        assert kept.items() <= masks.items()
        kept = {str(out / f"{scan}.nii.gz"): masks[str(out / f"{scan}.nii.gz")] for scan in recorded(out)}
    with started([sys.executable, "-m", "skipseg"], bundle, scans, out) as process:
        assert process.wait(PATIENCE_S) == 0
    assert list(states(out).values()) == ["done"] * 203
    assert kept.items() <= {str(mask): mask.stat().st_mtime_ns for mask in out.glob("*.nii.gz")}.items()


@pytest.mark.slow
def test_a_scan_that_kills_the_command_is_parked_after_three_deaths(scans, tmp_path, make_scan) -> None:
    bundle, out = small_bundle(tmp_path / "bundle").folder, tmp_path / "out"
    (scans / "deadly.nii.gz").write_bytes(make_scan((FATAL_LENGTH, 24, 13)))
    codes = []
    while not codes or codes[-1] == -signal.SIGKILL:
        with started(deadly(signal.SIGKILL), bundle, scans, out) as process:
            codes.append(process.wait(PATIENCE_S))
    assert codes == [-signal.SIGKILL] * 3 + [1]
    assert states(out) == {"a": "done", "b": "done", "c": "done", "deadly": "failed"}


@pytest.mark.slow
def test_sigterm_ends_in_order_and_suspects_nobody(scans, tmp_path, make_scan) -> None:
    bundle, out = small_bundle(tmp_path / "bundle").folder, tmp_path / "out"
    for number in range(200):
        (scans / f"{number:03}.nii.gz").write_bytes(make_scan((40, 40, 40), seed=number))
    with started([sys.executable, "-m", "skipseg"], bundle, scans, out) as process:
        until_recorded(process, out, 20)
        process.terminate()
        assert process.wait(PATIENCE_S) == 1
    with opened(out, ["a"]) as ledger:
        assert ledger.suspects == {}
        assert 20 <= len(ledger.rows) < 203
    assert not (out / f"{LEDGER}-wal").exists()


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0 or sys.platform != "linux", reason="only root can mount a small disk")
def test_a_full_disk_ends_with_words_and_what_is_done_stays(predictor, scans, tmp_path, make_scan) -> None:
    for number in range(60):
        (scans / f"{number:03}.nii.gz").write_bytes(make_scan((40, 40, 40), seed=number))
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(out)], check=True)
    try:
        with pytest.raises(OSError, match="scans are dealt with; make room, then the same command goes on"):
            run(predictor, scans, out)
        with opened(out, ["a"]) as ledger:
            done = {row.scan for row in ledger.rows}
        subprocess.run(["mount", "-o", "remount,size=40m", str(out)], check=True)
        made = {scan: (out / f"{scan}.nii.gz").stat().st_mtime_ns for scan in done}
        assert set(states_of(run(predictor, scans, out)).values()) == {"done"}
        assert {scan: (out / f"{scan}.nii.gz").stat().st_mtime_ns for scan in done} == made
    finally:
        subprocess.run(["umount", "-l", str(out)], check=False)


def states_of(found: dict[str, dict[str, str]]) -> dict[str, str]:
    return {scan: row["state"] for scan, row in found.items()}


@contextmanager
def started(program: list[str], bundle: Path, scans: Path, out: Path) -> Iterator[subprocess.Popen]:
    command = [*program, "segment", bundle, scans, "--out", out, "--device", "cpu"]
    with subprocess.Popen(list(map(str, command)), env=environment({})) as process:
        try:
            yield process
        finally:
            process.kill()


def until_recorded(process: subprocess.Popen, out: Path, rows: int) -> None:
    ends = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends and process.poll() is None:
        if (out / RESULTS).is_file() and (out / RESULTS).read_text().count("\n") > rows:
            return
        time.sleep(0.02)
    raise AssertionError(f"the table never had {rows} rows")


def recorded(out: Path) -> set[str]:
    """What the ledger holds, read while nobody has it."""
    with opened(out, ["a"]) as ledger:
        return {row.scan for row in ledger.rows}
