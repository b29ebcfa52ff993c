"""A bundle on its way into the registry: received, looked at, unpacked, and gone again if it is refused."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

from anyio import to_thread
from fastapi import Request

from skipseg.models.bundle import MANIFEST, WEIGHTS
from skipseg.models.durable import forget_drafts
from skipseg.models.errors import BundleError, ScanCorrupt, UsageError
from skipseg.models.imports.monai_bundle import METADATA, as_bundle, is_monai_bundle
from skipseg.models.registry import ModelVersion, Registry
from skipseg.models.scans.archives import Archive, ArchiveLimits
from skipseg.service.bundles.other_process import in_other_process
from skipseg.service.middleware.disk import disk_permitting
from skipseg.service.receiving import receive_file

MOST_FILES = 10_000
DRAFT = ".receiving-"


async def register(request: Request, registry: Registry, name: str | None, most: int) -> ModelVersion:
    """Add the bundle that a request uploads as a zip of at most ``most`` bytes, unpacked too.

    Raises ``BundleError`` when it does not verify; otherwise what ``receive_file`` and ``Registry.add`` raise.
    """
    async with _draft(registry.root) as draft:
        await receive_file(request, draft / "zip")
        return await to_thread.run_sync(partial(_take, draft, registry, name, most))


def _take(draft: Path, registry: Registry, name: str | None, most: int) -> ModelVersion:
    with disk_permitting():
        bundle = unpacked(draft / "zip", draft / "bundle", most)
        if is_monai_bundle(bundle):
            bundle = in_other_process(as_bundle, bundle, draft / "imported")
        return registry.add(bundle, name)


def unpacked(archive: Path, into: Path, most: int) -> Path:
    """The folder of the bundle in a zip, once that is unpacked; raises ``BundleError``, ``ScanTooLarge``."""
    try:
        with Archive(archive, ArchiveLimits(MOST_FILES, most)) as files:
            where = _place(files)
            files.unpack_all(into)
    except ScanCorrupt:
        raise BundleError("this is no zip file, or a damaged one; zip the bundle's folder again") from None
    except UsageError as error:
        raise BundleError(str(error)) from None
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise BundleError("a name in the zip is a file's and a folder's; zip the bundle's folder again") from None
    return into / where


def _place(files: Archive) -> Path:
    """Where the bundle lies: at the root of the zip, or in one folder."""
    names = [member.name for member in files.members]
    places = [name.parent for name in names if name.name == MANIFEST]
    places += [name.parent.parent for name in names if name.parts[-2:] == METADATA.parts]
    near = [place for place in places if len(place.parts) <= 1]
    if len(near) != 1:
        raise BundleError(
            f"expected a zip of one bundle, {MANIFEST} and {WEIGHTS} (of a MONAI bundle configs/ and models/) at its "
            f"root or in one folder; it holds {len(near)}"
        )
    return Path(near[0])


@asynccontextmanager
async def _draft(root: Path) -> AsyncIterator[Path]:
    """A folder in the registry's own, so that it is on the disk that the models will be on."""
    draft = await to_thread.run_sync(_begin, root)
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _begin(root: Path) -> Path:
    with disk_permitting():
        root.mkdir(parents=True, exist_ok=True)
        forget_drafts(root, DRAFT)
        return Path(mkdtemp(prefix=DRAFT, dir=root))
