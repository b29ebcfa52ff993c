"""NRRD and MetaImage files to volumes and back, through SimpleITK.

ITK counts millimetres to the Left, Posterior and Superior; a ``Geometry`` to the Right, Anterior and Superior.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813 (its own documentation's name)
from numpy.typing import NDArray

from skipseg.models.errors import ScanCorrupt, ScanUnusable
from skipseg.models.scans.finite import require_finite
from skipseg.models.scans.geometry import Geometry
from skipseg.models.scans.limits import Limits
from skipseg.models.scans.streams import MAX_DEFLATE_RATIO, ScanSource, byte_count, open_source, starts_with
from skipseg.models.scans.text_headers import MOST_HEADER_BYTES, TextHeader, parse_mha, parse_nrrd
from skipseg.models.scans.volume import Source, Volume

sitk.ProcessObject.GlobalWarningDisplayOff()  # ITK would print about users' files to stderr

_LPS_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_BYTES = {
    sitk.sitkUInt8: 1,
    sitk.sitkInt8: 1,
    sitk.sitkUInt16: 2,
    sitk.sitkInt16: 2,
    sitk.sitkUInt32: 4,
    sitk.sitkInt32: 4,
    sitk.sitkUInt64: 8,
    sitk.sitkInt64: 8,
    sitk.sitkFloat32: 4,
    sitk.sitkFloat64: 8,
    sitk.sitkVectorUInt8: 1,
    sitk.sitkVectorInt8: 1,
    sitk.sitkVectorUInt16: 2,
    sitk.sitkVectorInt16: 2,
    sitk.sitkVectorUInt32: 4,
    sitk.sitkVectorInt32: 4,
    sitk.sitkVectorUInt64: 8,
    sitk.sitkVectorInt64: 8,
    sitk.sitkVectorFloat32: 4,
    sitk.sitkVectorFloat64: 8,
}


@dataclass(frozen=True)
class ItkGrid:
    """A grid in ITK's words, of 2 or 3 dimensions; ``direction`` is row-major."""

    origin: tuple[float, ...]
    spacing: tuple[float, ...]
    direction: tuple[float, ...]
    own_words: tuple[tuple[str, str], ...] = ()  # of an NRRD file, for the same

    @classmethod
    def of(cls, geometry: Geometry) -> ItkGrid:
        """The 3D grid of a geometry."""
        affine = _LPS_RAS @ geometry.affine
        direction = affine[:3, :3] / np.array(geometry.spacing)
        return cls(tuple(affine[:3, 3].tolist()), geometry.spacing, tuple(direction.ravel().tolist()))

    def affine(self) -> NDArray[np.float64]:
        """Voxel indices to RAS millimetres, (4, 4); the third axis of a 2D grid is 1 mm thick."""
        n = len(self.origin)
        affine = np.eye(4)
        affine[:n, :n] = np.reshape(self.direction, (n, n)) * np.array(self.spacing)
        affine[:n, 3] = self.origin
        return np.asarray(_LPS_RAS @ affine)


def read_nrrd(source: ScanSource, limits: Limits) -> Volume:
    """Read an NRRD file that carries its own voxels; raises as ``read_scan``."""
    return _read(source, limits, "nrrd", "NrrdImageIO", parse_nrrd)


def read_mha(source: ScanSource, limits: Limits) -> Volume:
    """Read a MetaImage file that carries its own voxels (.mha); raises as ``read_scan``."""
    return _read(source, limits, "mha", "MetaImageIO", parse_mha)


def encode_itk(voxels: NDArray[np.unsignedinteger], grid: ItkGrid, suffix: str, compressed: bool) -> bytes:
    """The file of label values (X, Y, Z) on a grid of 2 or 3 dimensions."""
    stored = voxels.T if len(grid.origin) == 3 else voxels[:, :, 0].T
    image = sitk.GetImageFromArray(np.ascontiguousarray(stored))
    image.SetOrigin(grid.origin)
    image.SetSpacing(grid.spacing)
    image.SetDirection(grid.direction)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"mask{suffix}"
        sitk.WriteImage(image, str(path), useCompression=compressed, compressionLevel=1)
        return _in_own_words(path.read_bytes(), grid) if suffix == ".nrrd" else path.read_bytes()


def read_pixels(path: Path, image_io: str, vector: bool) -> NDArray[np.float32]:
    """All values of a file whose claims were checked, as float32 (Z, Y, X) with a last axis of channels if ``vector``.

    Peak memory: the values as stored, plus twice the result.
    """
    reader = _reader(path, image_io)
    reader.SetOutputPixelType(sitk.sitkVectorFloat32 if vector else sitk.sitkFloat32)
    with itk_errors():
        return np.asarray(sitk.GetArrayFromImage(reader.Execute()))


def _in_own_words(nrrd: bytes, grid: ItkGrid) -> bytes:
    """Repeat the scan's placing fields word for word: ITK writes spacing times direction, which rounds bits."""
    header, blank, voxels = nrrd.partition(b"\n\n")
    lines = header.split(b"\n")
    for name, value in grid.own_words:
        vectors = value.replace("none", "").strip()  # a scan's channel axis has no direction, and a mask no such axis
        lines = [f"{name}: {vectors}".encode() if line.startswith(f"{name}:".encode()) else line for line in lines]
    return b"\n".join(lines) + blank + voxels


@contextmanager
def itk_errors() -> Iterator[None]:
    """Say ``ScanCorrupt`` where ITK gives up; its own text names files and addresses, so it is not repeated."""
    try:
        yield
    except RuntimeError as problem:
        if "determinant" in str(problem) or "spacing" in str(problem).lower():
            raise ScanUnusable("the grid is singular (a spacing of 0, or two axes alike); export it again") from None
        raise ScanCorrupt("the header or the voxels are damaged or cut short; copy or export the file again") from None


@contextmanager
def as_path(source: ScanSource) -> Iterator[Path]:
    """A file that ITK can open by name; bytes go through a temporary one."""
    if isinstance(source, Path):
        yield source
        return
    with _copied(source, b"", 0) as path:
        yield path


@contextmanager
def _copied(source: ScanSource, header: bytes, skip: int) -> Iterator[Path]:
    """A temporary file of ``header`` and what follows the first ``skip`` bytes, alone in its folder."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan"
        with path.open("wb") as file, open_source(source) as content:
            file.write(header)
            content.seek(skip)
            shutil.copyfileobj(content, file)
        yield path


def _read(
    source: ScanSource, limits: Limits, name: str, image_io: str, parse: Callable[[bytes, int], TextHeader]
) -> Volume:
    length = byte_count(source)
    limits.check_bytes(length)
    text = parse(starts_with(source, MOST_HEADER_BYTES), length)
    with _copied(source, text.clean, text.length) as path:
        reader = _reader(path, image_io)
        with itk_errors():
            reader.ReadImageInformation()
        geometry, grid = _check_claims(reader, limits, length - text.length, text)
        channels = reader.GetNumberOfComponents()
        pixels = read_pixels(path, image_io, channels > 1)
    voxels = pixels.reshape(*geometry.shape[::-1], channels).transpose(3, 2, 1, 0)
    require_finite(voxels)
    return Volume(voxels, geometry, Source(name, grid, text.compressed))


def _reader(path: Path, image_io: str) -> sitk.ImageFileReader:
    reader = sitk.ImageFileReader()
    reader.SetImageIO(image_io)
    reader.SetFileName(str(path))
    return reader


def _check_claims(
    reader: sitk.ImageFileReader, limits: Limits, stored_bytes: int, text: TextHeader
) -> tuple[Geometry, ItkGrid]:
    size, channels = [int(n) for n in reader.GetSize()], int(reader.GetNumberOfComponents())
    if len(size) not in (2, 3):
        raise ScanUnusable(f"a scan has 2 or 3 dimensions; this one has {len(size)}: {size}; split it first")
    limits.check_shape(tuple(size), channels)
    if reader.GetPixelID() not in _BYTES:
        kind = sitk.GetPixelIDValueAsString(reader.GetPixelID())
        raise ScanUnusable(f"voxels must be integers or floats; these are {kind}")
    claimed = prod(size) * channels * _BYTES[reader.GetPixelID()]
    if claimed > stored_bytes * (MAX_DEFLATE_RATIO if text.compressed else 1):
        raise ScanCorrupt("the file ends before the voxels its header claims; copy or upload it again")
    grid = ItkGrid(reader.GetOrigin(), reader.GetSpacing(), reader.GetDirection(), text.place)
    x, y, z = [*size, 1][:3]
    return Geometry((x, y, z), grid.affine()), grid
