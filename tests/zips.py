"""Zip files of folders."""

import io
import zipfile
from pathlib import Path


def zip_of(folder: Path, inside: str = "") -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, f"{inside}{path.relative_to(folder).as_posix()}")
    return content.getvalue()
