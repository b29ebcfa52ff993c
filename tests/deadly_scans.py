"""skipseg on a machine where reading a scan of 9 voxels along i kills the process, as a fault in a decoder would."""

import signal
import sys

FATAL_LENGTH = 9

_PROGRAM = """
import os
import time
from skipseg.models.scans.volume import Volume
from skipseg.service.cli import main
from skipseg.service.commands.cases import ScanFiles

read = ScanFiles.read

def read_or_die(self, *arguments) -> Volume:
    volume = read(self, *arguments)
    if volume.geometry.shape[0] == {length}:
        os.kill(os.getpid(), {signal})
        time.sleep(60)  # another thread may be the one that the signal ends the process on: nothing is read meanwhile
    return volume

ScanFiles.read = read_or_die
main()
"""


def deadly(sent: signal.Signals) -> list[str]:
    """The command line that begins such a skipseg, to be followed by skipseg's own arguments."""
    return [sys.executable, "-c", _PROGRAM.format(length=FATAL_LENGTH, signal=int(sent))]
