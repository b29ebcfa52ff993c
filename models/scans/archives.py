"""Zip files of strangers: looked at before anything is unpacked, and never unpacked beyond what they were allowed."""

from __future__ import annotations

import errno
import os
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, LargeZipFile, ZipFile, ZipInfo

from skipseg.models.errors import ScanCorrupt, ScanTooLarge, UsageError
from skipseg.models.scans.streams import ScanSource, open_source

BLOCK = 2**20
FREE_OF_RATIO = 16 * 2**20  # bytes that an archive may unpack to however small it is
ENCRYPTED = 0x1  # in a member's flags (PKWARE APPNOTE 4.4.4)
STORED, DEFLATED = 0, 8  # the two methods that everybody writes; others may be missing from this Python
NOT_SCANS = ("__MACOSX/",)  # what Finder adds to every zip


@dataclass(frozen=True)
class ArchiveLimits:
    """Bounds on what one archive unpacks to."""

    members: int = 100_000
    bytes: int = 256 * 2**30
    ratio: int | None = None  # of unpacked to packed bytes; None: any


@dataclass(frozen=True)
class Member:
    """One file of an archive."""

    name: PurePosixPath
    bytes: int  # unpacked


class Archive:
    """A zip file whose members were looked at; use it as a context manager.

    Raises ``ScanCorrupt`` when it is no zip file or damaged, ``ScanTooLarge`` beyond a limit, ``UsageError`` for
    members that are encrypted, links, packed in a rare way, or named so that they would leave the folder.
    """

    def __init__(self, source: ScanSource, limits: ArchiveLimits = ArchiveLimits()) -> None:
        self._file = open_source(source)
        try:
            with _damage_told():
                self._zip = ZipFile(self._file)
        except BaseException:
            self._file.close()
            raise
        try:
            self._infos = {PurePosixPath(info.filename): info for info in self._files(limits)}
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def close(self) -> None:
        self._zip.close()
        self._file.close()

    @property
    def members(self) -> list[Member]:
        """Its files, in their order."""
        return [Member(name, info.file_size) for name, info in self._infos.items()]

    def unpack(self, name: PurePosixPath, to: Path) -> None:
        """Write one member to a file; never more bytes than it announced."""
        info = self._infos[name]
        with _damage_told(), self._zip.open(info) as packed, to.open("xb") as file:
            while block := packed.read(BLOCK):
                file.write(block)

    def read(self, name: PurePosixPath, most: int = -1) -> bytes:
        """The bytes of one member, or its first ``most``; never more than it announced."""
        with _damage_told(), self._zip.open(self._infos[name]) as packed:
            return packed.read(most)

    def unpack_all(self, into: Path) -> None:
        """Write every member below a folder, which is made."""
        for name in self._infos:
            to = into / name
            to.parent.mkdir(parents=True, exist_ok=True)
            self.unpack(name, to)

    def _files(self, limits: ArchiveLimits) -> list[ZipInfo]:
        infos = [info for info in self._zip.infolist() if not info.is_dir()]
        infos = [info for info in infos if not info.filename.startswith(NOT_SCANS)]
        if len(infos) > limits.members:
            raise ScanTooLarge(f"an archive may hold at most {limits.members:,} files; this one holds {len(infos):,}")
        total = sum(info.file_size for info in infos)
        if total > limits.bytes:
            raise ScanTooLarge(f"an archive may unpack to at most {limits.bytes:,} bytes; this one claims {total:,}")
        packed = sum(info.compress_size for info in infos)
        if limits.ratio is not None and total > max(packed * limits.ratio, FREE_OF_RATIO):
            raise ScanTooLarge(
                f"an archive may unpack to at most {limits.ratio} times its size; this one claims {total:,} bytes in "
                f"{packed:,}; pack it with less compression"
            )
        for number, info in enumerate(infos, 1):
            if fault := _fault(info):
                raise UsageError(f"file {number} of the archive {fault}; make the archive anew without it")
        if len({os.path.normcase(PurePosixPath(info.filename)) for info in infos}) < len(infos):
            raise UsageError("two files of the archive have the same name; make it anew with each file once")
        return infos


def _fault(info: ZipInfo) -> str | None:
    """What is wrong with a member, without its name: that may be a patient's."""
    name = PurePosixPath(info.filename)
    if info.flag_bits & ENCRYPTED:
        return "is encrypted, which is not read"
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
        return "is a link or a device, and no file"
    if info.compress_type not in (STORED, DEFLATED):
        return "is packed in a way other than deflate"
    if name.is_absolute() or ".." in name.parts or "\\" in info.filename or ":" in info.filename or not name.parts:
        return "has a name that leads out of the archive's folder"
    if any(not character.isprintable() for character in info.filename) or max(map(len, name.parts)) > 200:
        return "has a name that cannot be a file's"
    return None


@contextmanager
def _damage_told() -> Iterator[None]:
    try:
        yield
    except (BadZipFile, LargeZipFile, EOFError, NotImplementedError, UnicodeDecodeError, ValueError) as error:
        raise ScanCorrupt("this is no zip file, or a damaged one; make it anew") from error
    except (zlib.error, struct.error) as error:
        raise ScanCorrupt("a file of the archive is damaged; make it anew") from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # which is how a place before the beginning of the file is told
            raise
        raise ScanCorrupt("this is no zip file, or a damaged one; make it anew") from error
