"""Models on their way out: written by a process of its own, one at a time, so that no mask is made beside it.

torch traces a network for ONNX by changing itself for a moment; a process that serves must not do that.
"""

from __future__ import annotations

import asyncio
import shutil
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from zipfile import ZIP_STORED, ZipFile

from anyio import to_thread

from skipseg.models.bundle import load_bundle
from skipseg.models.durable import forget_drafts
from skipseg.models.errors import NotReady
from skipseg.models.exports.formats import ExportFormat
from skipseg.models.registry import ModelVersion
from skipseg.service.bundles.other_process import in_other_process

DRAFT = ".exporting-"


class Exporter:
    """Writes zips into folders beside the models, which the caller drops."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._one = asyncio.Semaphore(1)

    async def zip(self, version: ModelVersion, format: ExportFormat) -> Path:
        """A zip of one folder, ``NAME-VERSION``; raises as ``export`` does, and ``NotReady`` when the process ends."""
        async with self._one:
            return await to_thread.run_sync(partial(self._zip, version, format))

    def drop(self, path: Path) -> None:
        """Delete a zip."""
        shutil.rmtree(path.parent, ignore_errors=True)

    def _zip(self, version: ModelVersion, format: ExportFormat) -> Path:
        self.root.mkdir(parents=True, exist_ok=True)
        forget_drafts(self.root, DRAFT)
        draft = Path(mkdtemp(prefix=DRAFT, dir=self.root))
        folder = draft / f"{version.name}-{version.version}"
        try:
            return in_other_process(_write, version.folder, format, folder)
        except OSError:
            self.drop(folder)
            raise NotReady(
                "the server's disk could not keep the export; free space there, or try again later"
            ) from None
        except BaseException:
            self.drop(folder)
            raise


def _write(bundle: Path, format: ExportFormat, folder: Path) -> Path:
    """In the other process."""
    from skipseg.models.exports.export import export

    export(load_bundle(bundle), format, folder)
    zipped = folder.with_suffix(".zip")
    with ZipFile(zipped, "x", ZIP_STORED) as archive:  # weights do not become smaller
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder.parent))
    return zipped
