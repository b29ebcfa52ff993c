"""A training step takes no more memory than the plan said.

The peak is read from /proc: that of ``resource`` begins at the size of the process that started this one.
"""

import subprocess
import sys

import pytest

STEP = """
import re, torch
from pathlib import Path
from fingerprints import fingerprint
from skipseg.training.planning.candidates import candidates
from skipseg.training.planning.effort import LADDERS
from skipseg.training.planning.overrides import Overrides
from skipseg.training.planning.probe import step_seconds
peak = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
option = candidates({data}, LADDERS["cpu"], 2**34, Overrides())[{place}]
torch.nn.functional.conv3d(torch.zeros(1, 1, 8, 8, 8), torch.zeros(1, 1, 3, 3, 3))
before = peak()
step_seconds(option, torch.device("cpu"), "fp32")
print(peak() - before, option.memory_bytes)
"""


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ("fingerprint((35, 50, 36), labels=('a', 'b'))", 2),
        ("fingerprint((512, 512, 1), dimensions=2, given=False)", 4),
    ],
    ids=["light hippocampus", "small membranes behind a stem"],
)
def test_a_step_takes_no_more_than_was_expected(data, place, request):
    tests = request.config.rootpath / "tests"
    code = f"import sys; sys.path.insert(0, {str(tests)!r})\n" + STEP.format(data=data, place=place)
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    grown, expected = map(int, run.stdout.split())
    assert expected / 3 < grown < 1.05 * expected
