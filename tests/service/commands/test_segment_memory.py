"""``skipseg segment`` of many scans takes no more memory than of a few."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from bundles import small_bundle
from servers import PATIENCE_S, environment

COUNT, EARLY = 300, 100
MOST_GROWTH = 2**25  # bytes


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read off /proc")
def test_memory_stays_where_it_is_over_many_small_scans(tmp_path, make_scan) -> None:
    bundle, scans, out = small_bundle(tmp_path / "bundle").folder, tmp_path / "scans", tmp_path / "out"
    scans.mkdir()
    for seed in range(COUNT):
        (scans / f"{seed:03}.nii.gz").write_bytes(make_scan((32 + seed % 7, 40, 24), seed=seed))
    command = [sys.executable, "-m", "skipseg", "segment", bundle, scans, "--out", out, "--device", "cpu"]
    with subprocess.Popen(list(map(str, command)), env=environment({})) as process:
        early = resident_when(process, out, EARLY)
        late = resident_when(process, out, COUNT - 10)
        assert process.wait(PATIENCE_S) == 0
    assert late - early < MOST_GROWTH


def resident_when(process: subprocess.Popen, out: Path, rows: int) -> int:
    """Bytes that a process holds when its table has so many rows."""
    ends = time.monotonic() + 5 * PATIENCE_S
    while time.monotonic() < ends and process.poll() is None:
        table = out / "results.csv"
        if table.is_file() and table.read_text().count("\n") > rows:
            status = Path(f"/proc/{process.pid}/status").read_text()
            return int(status.partition("VmRSS:")[2].split()[0]) * 1024
        time.sleep(0.02)
    raise AssertionError(f"the table never had {rows} rows")
