"""What a run's minutes are counted from."""

import subprocess
import sys

AGE = """
import time
from skipseg.training.runs import clock
clock.START = 0.8
print(time.monotonic() - clock.command_given())
"""


def age(before):
    command = f"{before} exec {sys.executable} -c '{AGE}'"
    return float(subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout)


def test_what_a_shell_did_before_it_became_the_command_is_not_counted():
    assert age("sleep 3;") < 3
