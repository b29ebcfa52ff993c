"""skipseg: train U-Nets on biomedical scans and serve their masks.

The rooms: ``skipseg.models`` (scan to mask), ``skipseg.training`` (dataset to bundle), ``skipseg.service`` (request to
answer).
"""

__version__ = "0.1.0"
