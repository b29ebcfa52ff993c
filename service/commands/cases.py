"""From the files and folders a user names to the scans that are segmented, one mask each."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from skipseg.models.errors import ScanUnusable, UsageError
from skipseg.models.scans.dicom.choice import AS_STORED, SeriesChoice
from skipseg.models.scans.limits import DEFAULT_LIMITS, Limits
from skipseg.models.scans.reader import is_scan_name, read_channels, read_slices, scan_stem
from skipseg.models.scans.volume import Volume
from skipseg.service.commands.series import dicom_among, series_of

CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})")  # nnU-Net's names: case_0000, case_0001


@dataclass(frozen=True)
class ScanFiles:
    """The files of one scan, channels in order; ``name`` is its mask's, without suffix, relative to the output.

    ``is_dicom``: the files are the slices of a series, or of a study, of which ``choice`` says what is read.
    """

    name: PurePath
    files: tuple[Path, ...]
    is_dicom: bool = False
    choice: SeriesChoice = AS_STORED

    @property
    def channel_numbers(self) -> list[str]:
        """What the names say about channels: ``["0000", "0001"]``; empty for a file that is a whole scan."""
        if self.is_dicom:
            return []
        return [match["channel"] for file in self.files if (match := CHANNEL.fullmatch(scan_stem(file)))]

    def read(self, limits: Limits = DEFAULT_LIMITS) -> Volume:
        """The scan; raises as ``read_channels`` does."""
        read = read_slices if self.is_dicom else read_channels
        return read(self.files, limits, self.choice)

    def sha256(self) -> str:
        """SHA-256 of the file; of several, over theirs in order. Raises ``OSError``."""
        digests = [_digest(file) for file in self.files]
        return (digests[0] if len(digests) == 1 else hashlib.sha256(b"".join(digests)).digest()).hex()

    def check_channels(self, needed: int) -> None:
        """Raise ``ScanUnusable`` when channels that come as files of their own are not exactly 0000, 0001, ..."""
        wanted = [f"{number:04d}" for number in range(needed)]
        if needed > 1 and self.channel_numbers not in ([], wanted):
            raise ScanUnusable(
                f"this model needs {needed} channels, in files that end in _{', _'.join(wanted)}; "
                f"found _{', _'.join(self.channel_numbers)}"
            )


def collect(scans: Sequence[Path], channels: int, out: Path, choice: SeriesChoice = AS_STORED) -> list[ScanFiles]:
    """The scans among ``scans`` (files and folder trees) for a model of ``channels`` channels.

    A model of several channels takes ``case_0000.nii.gz``, ``case_0001.nii.gz``, ... as the channels of ``case``. A
    folder's tree is kept in the names. What lies under ``out`` is left out: those are masks. DICOM files of a tree are
    a scan for each series (of a study, for a model of several channels), as ``series_of`` says.

    Raises ``UsageError`` when there is no such file, no scan in a folder, or when two scans would share one mask.
    """
    named: dict[PurePath, list[Path]] = defaultdict(list)
    of_dicom = list[ScanFiles]()
    for scan in scans:
        files, slices = _files(scan, out)
        for file in files:
            named[_name(file, scan if scan.is_dir() else scan.parent, channels)].append(file)
        of_dicom += [ScanFiles(*series, True, choice) for series in series_of(slices, scan, channels, choice)]
    found = [ScanFiles(name, tuple(sorted(files)), choice=choice) for name, files in named.items()]
    for scan_ in found:
        _refuse_two_in_one(scan_)
    _refuse_one_name(found + of_dicom)
    return found + of_dicom


def refuse_overwriting(scans: Sequence[ScanFiles], written: Iterable[Path]) -> None:
    """Raise ``UsageError`` when a file that may be ``written`` is one of the scans, under any name or link."""
    read = {_identity(file): file for scan in scans for file in scan.files}
    for path in written:
        if path.exists() and (scan_file := read.get(_identity(path))):
            raise UsageError(f"{path} would be written over the scan {scan_file}; choose another --out")


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _identity(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_dev, status.st_ino


def _files(scan: Path, out: Path) -> tuple[list[Path], list[Path]]:
    """The files that are scans, and those that are DICOM slices."""
    if scan.is_file():
        return [scan], []
    if not scan.is_dir():
        raise UsageError(f"there is no file or folder {scan}")
    found = sorted(path for path in scan.rglob("*") if path.is_file())
    left = [file for file in found if not file.resolve().is_relative_to(out.resolve())]
    files, slices = [file for file in left if is_scan_name(file.name)], dicom_among(left)
    if not (files or slices) and any(is_scan_name(file.name) for file in found):
        raise UsageError(f"all scans in {scan} lie under --out {out}, where masks go; choose another --out")
    if not (files or slices):
        raise UsageError(f"the folder {scan} holds no file that is called like a scan, and no DICOM")
    return files, slices


def _name(file: Path, root: Path, channels: int) -> PurePath:
    stem = scan_stem(file)
    match = CHANNEL.fullmatch(stem) if channels > 1 else None
    return file.parent.relative_to(root) / (match["case"] if match else stem)


def _refuse_one_name(scans: Sequence[ScanFiles]) -> None:
    counts = Counter(scan.name for scan in scans)
    if twice := [name for name, count in counts.items() if count > 1]:
        raise UsageError(f"two scans would write the same mask, {twice[0]}; segment them into two folders")


def _refuse_two_in_one(scan: ScanFiles) -> None:
    numbers, folders = scan.channel_numbers, {file.parent for file in scan.files}
    if len(scan.files) > 1 and (len(set(numbers)) < len(scan.files) or len(folders) > 1):
        raise UsageError(
            f"{scan.files[0]} and {scan.files[1]} would write the same mask, {scan.name}; segment them into two folders"
        )
