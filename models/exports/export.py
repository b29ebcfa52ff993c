"""A bundle written in a format of others: whole and checked against the bundle, or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from skipseg.models.bundle import Bundle, load_bundle, replacing
from skipseg.models.durable import settle_tree
from skipseg.models.errors import UsageError
from skipseg.models.exports.formats import ExportFormat
from skipseg.models.exports.monai_bundle import write_monai_bundle
from skipseg.models.exports.onnx_model import write_onnx


def export(bundle: Bundle, format: ExportFormat, out: Path) -> None:
    """Write a bundle as the folder ``out``, which must not be there yet.

    Raises ``UsageError`` when it is there, or what a format needs is not installed; ``BundleError`` when the network
    cannot be written in this format, or would answer otherwise than the bundle does.
    """
    if out.exists():
        raise UsageError(f"{out.name} is there already, and nothing is overwritten; name a folder that is not there")
    with replacing(out) as draft:
        WRITERS[format](bundle, draft)
        settle_tree(draft)


def _copy(bundle: Bundle, folder: Path) -> None:
    shutil.copytree(bundle.folder, folder, dirs_exist_ok=True)
    load_bundle(folder)


WRITERS: Mapping[ExportFormat, Callable[[Bundle, Path], None]] = {
    "bundle": _copy,
    "monai-bundle": write_monai_bundle,
    "onnx": write_onnx,
}
