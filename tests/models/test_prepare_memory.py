"""Preparing a scan takes little more than a copy of it: measured in a process of its own, as the kernel counts it."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import sys
from pathlib import Path

import numpy as np
from bundles import small_plan

from skipseg.models.preprocess import prepare
from skipseg.models.scans.geometry import Geometry
from skipseg.models.scans.volume import Source, Volume

def peak():
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024

def scan(side):
    voxels = np.random.default_rng(0).standard_normal((1, side, side, side), dtype=np.float32)
    voxels[:, 0], voxels[:, -1], voxels[:, :, 0], voxels[:, :, -1] = 0, 0, 0, 0
    return Volume(voxels, Geometry((side, side, side), np.diag([-1, -1, 1, 1])), Source("nifti"))

plan = small_plan(crop_to_content=sys.argv[1] == "cropped")
prepare(scan(16), plan)
volume = scan(320)  # 131 MB: some 20 MB that do not depend on the scan must not decide
idle = peak()
prepare(volume, plan)
print((peak() - idle) / volume.voxels.nbytes)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc (Linux)")
@pytest.mark.parametrize("way", ["whole", "cropped"])
def test_a_scan_is_prepared_in_less_than_two_copies_of_it(way: str) -> None:
    command = [sys.executable, "-c", PROGRAM, way]
    tests = str(Path(__file__).parents[1])
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=tests)
    assert result.returncode == 0, result.stderr
    assert float(result.stdout) < 2
