"""The instances of a series as one zip, stored as they are: those that came now, and those that an earlier zip has."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO
from zipfile import BadZipFile, ZipFile, ZipInfo

from skipseg.models.durable import settle
from skipseg.models.errors import UploadUnknown


@dataclass(frozen=True)
class Pack:
    """What goes into a zip."""

    files: Mapping[str, Path]  # by the hash of the instance
    instances: dict[str, str]  # the hash of each content as well

    @classmethod
    def of(cls, files: Sequence[Path]) -> Pack:
        """Raises ``OSError``."""
        return cls({path.stem: path for path in files}, {path.stem: _sha256(path) for path in files})

    def grown(self, others: Mapping[str, str]) -> Pack:
        """With the instances of an earlier zip; what came later counts."""
        return replace(self, instances={**others, **self.instances})

    @property
    def lacks_files(self) -> bool:
        """Whether an earlier zip is needed."""
        return len(self.files) < len(self.instances)

    @property
    def bytes(self) -> int:
        """Of the files."""
        return sum(path.stat().st_size for path in self.files.values())

    def write(self, to: Path, series: str, earlier: Path | None) -> str:
        """Write the zip, wait until it is on the disk, and give its sha256.

        Raises ``UploadUnknown`` for an earlier zip that does not have what it should, and ``OSError``.
        """
        with ZipFile(to, "w") as whole, _opened(earlier) as others:
            for instance in sorted(self.instances):
                member = f"{series[:16]}/{instance}.dcm"
                with self._content(instance, member, others) as content, whole.open(ZipInfo(member), "w") as into:
                    shutil.copyfileobj(content, into, 2**20)
        settle(to)
        return _sha256(to)

    @contextmanager
    def _content(self, instance: str, member: str, others: ZipFile | None) -> Iterator[BinaryIO]:
        if instance in self.files:
            with self.files[instance].open("rb") as file:
                yield file
            return
        try:
            assert others is not None
            with others.open(member) as found:
                yield found  # type: ignore[misc]
        except (KeyError, BadZipFile):
            raise UploadUnknown("the instances that came first are not there any more; have all sent again") from None


@contextmanager
def _opened(earlier: Path | None) -> Iterator[ZipFile | None]:
    if earlier is None:
        yield None
        return
    with ZipFile(earlier) as archive:
        yield archive


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
