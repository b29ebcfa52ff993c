"""The files of the page (``service/page/``), read once, packed once, and known to browsers by their content."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "page"
ENTRY = "/"
INDEX = "index.html"
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
CHECKED = "no-cache"  # kept, and asked about with its ETag every time: a server that was upgraded is a page that was
KEPT = "public, max-age=31536000, immutable"  # its version is in its path
# NiiVue brings its fonts and textures as data: URLs, and hands pictures on as blob: ones. No style is written inline.
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True)
class PageFile:
    """One file, packed with gzip."""

    packed: bytes
    media_type: str
    etag: str
    cache: str

    def headers(self, is_packed: bool) -> dict[str, str]:
        """What its answer says beside its content; bytes that differ have names that differ."""
        etag = f'"{self.etag}{"-gz" if is_packed else ""}"'
        always = {"ETag": etag, "Cache-Control": self.cache, "Vary": "Accept-Encoding"}
        packing = {"Content-Encoding": "gzip"} if is_packed else {}
        return always | packing | {"Content-Security-Policy": CONTENT_POLICY}


@cache
def page_files() -> Mapping[str, PageFile]:
    """Every file by the path that a server answers it at: the page itself at ``/``, what it needs under ``/page/``."""
    names = (path.relative_to(FOLDER) for path in sorted(FOLDER.rglob("*")) if path.is_file() and _is_served(path))
    return {_path_of(name): _read(FOLDER / name) for name in names}


def _is_served(path: Path) -> bool:
    return path.name.removesuffix(".gz").endswith(tuple(MEDIA_TYPES))


def _path_of(name: Path) -> str:
    return ENTRY if name.as_posix() == INDEX else f"/page/{name.as_posix().removesuffix('.gz')}"


def _read(path: Path) -> PageFile:
    content = path.read_bytes()
    packed = content if path.suffix == ".gz" else gzip.compress(content, 9, mtime=0)
    media_type = MEDIA_TYPES[Path(path.name.removesuffix(".gz")).suffix]
    is_versioned = "vendor" in path.relative_to(FOLDER).parts
    return PageFile(packed, media_type, hashlib.sha256(packed).hexdigest()[:32], KEPT if is_versioned else CHECKED)
