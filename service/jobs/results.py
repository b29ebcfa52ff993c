"""What a job found, scan by scan; and the folder it lies in.

DATA/jobs/ID/inputs.json          the scans' names, and where their bytes are
DATA/jobs/ID/masks/000007-1f….nii.gz   one file an outcome, called by its number and its content
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from skipseg.models.durable import settle, write_whole
from skipseg.models.scans.masks import mask_file, mask_suffix
from skipseg.models.scans.volume import Mask
from skipseg.models.trust import Trust


class ItemResult(BaseModel):
    """What became of one scan."""

    model_config = ConfigDict(frozen=True)

    model: str  # name@version
    mask: str | None = None  # file in the job's folder of masks
    mask_suffix: str = ""
    mask_sha256: str | None = None
    sha256: str | None = None  # of the scan's files
    weights_sha256: str | None = None
    backend: str | None = None
    seconds: float | None = None
    shape: tuple[int, ...] | None = None
    spacing_mm: tuple[float, ...] | None = None
    volumes_mm3: dict[str, float] | None = None  # by label; None for a picture
    notes: tuple[str, ...] = ()  # how the scan was read, and what the mask's file lacks
    trust: Trust | None = None
    sends: tuple[str, ...] = ()  # files in the job's folder of masks that a DICOM node is to have, in this order
    reused: bool = False  # from an earlier job that segmented the same content
    code: str | None = None  # of the problem, for programs
    problem: str | None = None


@dataclass(frozen=True)
class Published:
    """A mask's file in a job's folder."""

    name: str
    suffix: str
    sha256: str
    notes: tuple[str, ...]


class JobFolders:
    """The folders of all jobs."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def make(self, job: str) -> Path:
        """A new folder."""
        folder = self.folder(job)
        (folder / "masks").mkdir(parents=True)
        settle(self.root)
        return folder

    def folder(self, job: str) -> Path:
        return self.root / job

    def mask(self, job: str, name: str) -> Path:
        return self.folder(job) / "masks" / name

    def scratch(self, job: str) -> Path:
        """For what is unpacked; anything in it may be deleted once the job has ended."""
        return self.folder(job) / "scratch"

    def publish(self, job: str, item: int, mask: Mask, format: str | None) -> Published:
        """Write a mask; equal files are one file."""
        file, suffix = mask_file(mask, format), mask_suffix(mask, format)
        digest = hashlib.sha256(file.content).hexdigest()
        name = f"{item:06}-{digest[:12]}{suffix}"
        write_whole(self.mask(job, name), file.content)
        return Published(name, suffix, digest, file.notes)

    def share(self, job: str, name: str, with_job: str, item: int) -> str:
        """Give a mask of one job to another; raises ``OSError`` when it is not there any more."""
        shared = f"{item:06}-{name.partition('-')[2]}"
        target = self.mask(with_job, shared)
        if not target.exists():
            try:
                os.link(self.mask(job, name), target)
                settle(target.parent)
            except FileNotFoundError:
                raise
            except OSError:  # no links here, or another disk
                write_whole(target, self.mask(job, name).read_bytes())
        return shared

    def remove(self, job: str) -> None:
        shutil.rmtree(self.folder(job), ignore_errors=True)
