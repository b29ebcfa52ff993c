"""Numbers for each voxel of a scan, such as probabilities, to NIfTI files on the scan's own grid.

NIfTI has no 16-bit floating point: float16 is written as float32, whose empty bits a compressed file hardly pays for.
"""

from __future__ import annotations

import io
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from isal import igzip
from numpy.typing import NDArray

from skipseg.models.scans.geometry import Geometry
from skipseg.models.scans.masks import nifti_header
from skipseg.models.scans.volume import Source

Values = NDArray[np.float16 | np.float32 | np.uint8]

SUFFIX = ".nii.gz"
CHUNK_VALUES = 2**22  # written at once


@dataclass(frozen=True, eq=False)
class Map:
    """Values (maps, X, Y, Z) as floating point, or as uint8 that stand for ``scale`` times as much."""

    name: str  # what they are, as in a file's name: ``probabilities``
    values: Values
    scale: float
    geometry: Geometry
    source: Source


def map_path(mask: Path, name: str) -> Path:
    """The file of a map, for the path of a mask without its suffix."""
    return mask.with_name(f"{mask.name}.{name}{SUFFIX}")


def write_maps(maps: Iterable[Map], mask: Path) -> None:
    """Write maps beside a mask, whose path is given without its suffix; the folder must exist."""
    for one in maps:
        write_map(one, map_path(mask, one.name))


def write_map(values: Map, path: Path) -> None:
    """Write a file whole or not at all; the folder must exist. Several maps are the fourth axis."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("wb") as file, igzip.IGzipFile("", "wb", 1, file, mtime=0) as packed:
            for chunk in _bytes(values):
                packed.write(chunk)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def encode_map(values: Map) -> bytes:
    """The file of a map, as ``write_map`` writes it."""
    file = io.BytesIO()
    with igzip.IGzipFile("", "wb", 1, file, mtime=0) as packed:
        for chunk in _bytes(values):
            packed.write(chunk)
    return file.getvalue()


def coarse(shares: Map) -> Map:
    """Values of 0 to 1 as uint8: a quarter of the bytes, for eyes rather than for arithmetic."""
    values = np.empty_like(shares.values, np.uint8)
    for z in range(values.shape[-1]):  # a plane at a time, so that what is computed with stays small
        values[..., z] = np.rint(shares.values[..., z].astype(np.float32) * 255)
    return replace(shares, values=values, scale=1 / 255)


def _bytes(map_: Map) -> Iterator[bytes]:
    kind = np.dtype(np.float32 if map_.values.dtype == np.float16 else map_.values.dtype)
    header = nifti_header(map_.geometry, map_.source)
    if len(map_.values) > 1:
        header.set_data_shape((*map_.geometry.shape, len(map_.values)))
    header.set_data_dtype(kind)
    header["magic"], header["vox_offset"] = header.single_magic, header.single_vox_offset
    header["scl_slope"], header["scl_inter"] = map_.scale, 0
    yield header.binaryblock + bytes(4)  # four zeros: no extensions follow
    x, y, z = map_.geometry.shape
    slices = max(CHUNK_VALUES // (x * y), 1)
    for values in map_.values:
        for start in range(0, z, slices):
            yield values[..., start : start + slices].astype(kind, copy=False).tobytes(order="F")
