"""A small picture of a kept case, drawn once: the axial slice with most of its labels, painted in their colours.

DATA/datasets/NAME/thumbnails/CHECKSUM/CASE.png           known by what it was drawn from, gone with its case
"""

from __future__ import annotations

import hashlib
import io
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from skipseg.models.durable import write_whole
from skipseg.models.errors import DatasetUnknown
from skipseg.models.labels import Labels
from skipseg.service.datasets.contents import THUMBNAILS, CaseFiles
from skipseg.service.datasets.store import DatasetStore
from skipseg.training.datasets.dataset import named_cases, open_dataset, read_case
from skipseg.training.reports.slices import Picture, pictures

SIDE = 256  # pixels of the longer side
PAINT = 0.5  # of a label's colour over the scan


def thumbnail(store: DatasetStore, name: str, case: str) -> bytes:
    """A PNG file of at most ``SIDE`` by ``SIDE`` pixels.

    Raises ``DatasetUnknown``, and ``DatasetError`` when the case's files are damaged or were deleted meanwhile.
    """
    files = store.get(name).files_of(case)
    path = _kept_at(store, name, case, files)
    with suppress(FileNotFoundError):
        return path.read_bytes()
    content = _drawn(store.folder(name), case)
    with suppress(OSError):  # a full disk hides no picture: it is drawn again
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
    if not _is_still(store, name, case, files):
        path.unlink(missing_ok=True)  # whoever deleted the case may have looked before it was written
    return content


def _kept_at(store: DatasetStore, name: str, case: str, files: CaseFiles) -> Path:
    known_by = hashlib.sha256(f"{files.image}{files.label}".encode()).hexdigest()[:32]
    return store.folder(name) / THUMBNAILS / known_by / f"{case}.png"


def _is_still(store: DatasetStore, name: str, case: str, files: CaseFiles) -> bool:
    with suppress(DatasetUnknown):
        return store.get(name).files_of(case) == files
    return False


def _drawn(folder: Path, name: str) -> bytes:
    dataset = open_dataset(folder)
    (case,) = named_cases(dataset, [name])
    volume, truth = read_case(dataset, case)
    return _file(pictures(volume, truth, truth)[0], dataset.labels)


def _file(picture: Picture, labels: Labels) -> bytes:
    image = Image.fromarray(_painted(picture, labels)).resize(_size(picture), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.quantize(256, Image.Quantize.MEDIANCUT).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _painted(picture: Picture, labels: Labels) -> NDArray[np.uint8]:
    """Grey or colours as they are, (rows, columns, 3), and each label's colour over where it is."""
    grey = picture.image.reshape(*picture.truth.shape, -1)
    pixels = 255 * np.broadcast_to(grey, (*picture.truth.shape, 3))
    for label in labels.foreground:
        inside = picture.truth == label.value
        pixels[inside] = (1 - PAINT) * pixels[inside] + PAINT * np.array(label.colour, np.float32)
    return np.rint(pixels).astype(np.uint8)


def _size(picture: Picture) -> tuple[int, int]:
    """Width and height in pixels, as long and wide as it is in mm."""
    width, height = picture.size
    scale = SIDE / max(width, height)
    return max(round(scale * width), 1), max(round(scale * height), 1)
