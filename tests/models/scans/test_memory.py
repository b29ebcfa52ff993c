"""Bombs take no memory: measured in a process of its own, as the kernel counts it."""

import subprocess
import sys
from pathlib import Path

import pytest
from malformed import BOMBS
from scan_files import nifti

PROGRAM = """
import sys
from pathlib import Path
from skipseg.models.errors import ScanError
from skipseg.models.scans.reader import read_scan

def peak():  # kilobytes since this program began; ru_maxrss would count its parent in
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])

folder = Path(sys.argv[1])
read_scan(folder / "good")
idle = peak()
for path in sorted(folder.glob("bomb *")):
    try:
        read_scan(path if sys.argv[2] == "path" else path.read_bytes())
        sys.exit(f"{path.name} was read")
    except ScanError:
        print(path.name, peak() - idle)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc (Linux)")
@pytest.mark.parametrize("source", ["path", "bytes"])
def test_bombs_are_refused_within_30_mib(source: str, tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(nifti())
    for number, bomb in enumerate(BOMBS.values()):
        (tmp_path / f"bomb {number:02}").write_bytes(bomb.data)
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), source]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    extra = [int(line.split()[-1]) for line in result.stdout.splitlines()]
    assert len(extra) == len(BOMBS)
    assert max(extra) < 30 * 1024
