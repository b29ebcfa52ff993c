"""From the files and folders a user names to the scans that are segmented, one mask each."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from skipseg.models.errors import ScanUnusable, UsageError
from skipseg.models.scans.reader import scan_files, scan_stem

CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})")  # nnU-Net's names: case_0000, case_0001


@dataclass(frozen=True)
class ScanFiles:
    """The files of one scan, channels in order; ``name`` is its mask's, without suffix, relative to the output."""

    name: PurePath
    files: tuple[Path, ...]

    @property
    def channel_numbers(self) -> list[str]:
        """What the names say about channels: ``["0000", "0001"]``; empty for a file that is a whole scan."""
        return [match["channel"] for file in self.files if (match := CHANNEL.fullmatch(scan_stem(file)))]

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


def collect(scans: Sequence[Path], channels: int, out: Path) -> list[ScanFiles]:
    """The scans among ``scans`` (files and folder trees) for a model of ``channels`` channels.

    A model of several channels takes ``case_0000.nii.gz``, ``case_0001.nii.gz``, ... as the channels of ``case``. A
    folder's tree is kept in the names. What lies under ``out`` is left out: those are masks.

    Raises ``UsageError`` when there is no such file, no scan in a folder, or when two scans would share one mask.
    """
    named: dict[PurePath, list[Path]] = defaultdict(list)
    for scan in scans:
        for file, root in _files(scan, out):
            named[_name(file, root, channels)].append(file)
    found = [ScanFiles(name, tuple(sorted(files))) for name, files in named.items()]
    for scan_ in found:
        _refuse_two_in_one(scan_)
    return found


def refuse_overwriting(scans: Sequence[ScanFiles], written: Iterable[Path]) -> None:
    """Raise ``UsageError`` when a file that may be ``written`` is one of the scans, under any name or link."""
    read = {_identity(file): file for scan in scans for file in scan.files}
    for path in written:
        if path.exists() and (scan_file := read.get(_identity(path))):
            raise UsageError(f"{path} would be written over the scan {scan_file}; choose another --out")


def _digest(path: Path) -> bytes:
    if path.is_dir():  # a series: whatever its files are called, and in whatever order they came
        return hashlib.sha256(b"".join(sorted(_digest(file) for file in path.rglob("*") if file.is_file()))).digest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _identity(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_dev, status.st_ino


def _files(scan: Path, out: Path) -> Iterator[tuple[Path, Path]]:
    """Scans and the folder that their names are relative to."""
    if scan.is_file():
        yield scan, scan.parent
    elif scan.is_dir():
        found = scan_files(scan)
        files = [file for file in found if not file.resolve().is_relative_to(out.resolve())]
        if found and not files:
            raise UsageError(f"all scans in {scan} lie under --out {out}, where masks go; choose another --out")
        if not files:
            raise UsageError(f"the folder {scan} holds no file that is called like a scan")
        yield from ((file, scan) for file in files)
    else:
        raise UsageError(f"there is no file or folder {scan}")


def _name(file: Path, root: Path, channels: int) -> PurePath:
    stem = scan_stem(file)
    match = CHANNEL.fullmatch(stem) if channels > 1 else None
    return file.parent.relative_to(root) / (match["case"] if match else stem)


def _refuse_two_in_one(scan: ScanFiles) -> None:
    numbers, folders = scan.channel_numbers, {file.parent for file in scan.files}
    if len(scan.files) > 1 and (len(set(numbers)) < len(scan.files) or len(folders) > 1):
        raise UsageError(
            f"{scan.files[0]} and {scan.files[1]} would write the same mask, {scan.name}; segment them into two folders"
        )
