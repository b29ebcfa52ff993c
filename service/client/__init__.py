"""A typed client of a skipseg server; it needs neither torch nor the server's own packages.

with Client("http://localhost:8000") as client:
    mask = client.segment("case.nii.gz", model="hippocampus")
"""

from skipseg.client.answers import Info, Item, Job, Mask, Model, Progress, Upload
from skipseg.client.client import Client
from skipseg.client.errors import (
    Busy,
    ClientError,
    Conflict,
    Damaged,
    KeyRefused,
    Problem,
    ServerFailed,
    Unknown,
    Unreachable,
)

__all__ = [
    "Busy",
    "Client",
    "ClientError",
    "Conflict",
    "Damaged",
    "Info",
    "Item",
    "Job",
    "KeyRefused",
    "Mask",
    "Model",
    "Problem",
    "Progress",
    "ServerFailed",
    "Unknown",
    "Unreachable",
    "Upload",
]
