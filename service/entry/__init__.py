"""skipseg: train U-Nets on biomedical scans and serve their masks.

The rooms: ``skipseg.models`` (scan to mask), ``skipseg.training`` (dataset to bundle), ``skipseg.service`` (request to
answer).
"""

from time import monotonic

__version__ = "0.1.0"

BEGAN = monotonic()  # when the first line of ours ran, from which a run's minutes are counted
