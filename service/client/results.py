"""The results of a job on this machine: every mask is compared with its announced SHA-256 before it has its name."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from zipfile import BadZipFile, ZipFile

from skipseg.client.errors import Damaged

TABLE = "results.csv"


def save_results(blocks: Iterable[bytes], to: Path, whole: bool) -> list[Path]:
    """Unpack an archive of results below ``to``; gives the paths of its masks. The table, results.csv, comes last.

    ``whole``: every mask of the table must be there. Raises ``Damaged``, with nothing but ``to`` itself made, when it
    is not, when a mask is another than announced, or when its name would lead out of ``to``; ``OSError`` when ``to``
    cannot be written.
    """
    to.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=to, prefix=".skipseg-") as folder:
        path, draft = Path(folder) / "results.zip", Path(folder) / "unpacked"
        with path.open("wb") as file:
            file.writelines(blocks)
        try:
            names = _unpack(path, draft, whole)
        except (BadZipFile, EOFError, KeyError, NotImplementedError, UnicodeDecodeError, zlib.error) as error:
            raise Damaged("the archive of results is damaged; download it again") from error
        for name in [*names, TABLE]:
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            os.replace(draft / name, to / name)
    return [to / name for name in names]


def _unpack(path: Path, draft: Path, whole: bool) -> list[str]:
    with ZipFile(path) as archive:
        table = archive.read(TABLE)
        names = [name for name in archive.namelist() if name != TABLE]
        announced = _announced(table.decode())
        if whole and len(names) < len(announced):
            raise Damaged(f"results.csv announces {len(announced)} masks, the archive holds {len(names)}")
        for name in names:
            _write(draft, name, _checked(archive.read(name), announced.get(name)))
    _write(draft, TABLE, table)
    return names


def _announced(table: str) -> dict[str, str]:
    """Masks and their digests; the quote that keeps a spreadsheet from running a name is no part of it."""
    rows = [row for row in csv.DictReader(io.StringIO(table)) if row["mask"]]
    return {(row["mask"][1:] if row["mask"].startswith("'") else row["mask"]): row["mask_sha256"] for row in rows}


def _checked(mask: bytes, digest: str | None) -> bytes:
    if hashlib.sha256(mask).hexdigest() != digest:
        raise Damaged("a mask is not the one that results.csv announces; download it again")
    return mask


def _write(folder: Path, name: str, content: bytes) -> None:
    inner = PurePosixPath(name)
    if inner.is_absolute() or ".." in inner.parts or "\\" in name or ":" in name:
        raise Damaged("a mask has a name that leads out of the folder; do not trust this server")
    (folder / inner).parent.mkdir(parents=True, exist_ok=True)
    (folder / inner).write_bytes(content)
