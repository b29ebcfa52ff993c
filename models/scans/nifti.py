"""NIfTI-1 and NIfTI-2 files, plain or gzip, to volumes: streamed, with the result as the only large allocation."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from skipseg.models.errors import ScanCorrupt
from skipseg.models.scans.finite import count_not_finite, refuse_not_finite
from skipseg.models.scans.limits import Limits
from skipseg.models.scans.nifti_header import NiftiClaims, read_claims
from skipseg.models.scans.streams import (
    BLOCK,
    GZIP_MAGIC,
    MAX_DEFLATE_RATIO,
    ScanSource,
    byte_count,
    fill,
    gunzip,
    gzip_errors,
    open_source,
    skip,
    starts_with,
)
from skipseg.models.scans.volume import Source, Volume


def read_nifti(source: ScanSource, limits: Limits) -> Volume:
    """Read a single-file NIfTI of 2 or 3 spatial dimensions and up to one more, which becomes the channels.

    Voxels are float32 after slope and intercept, computed in float64; 64-bit values are rounded to float32. The
    result is a view of (channels, Z, Y, X) memory, the order of the file. Every claim of the header is checked
    before memory is taken; the data must have the claimed length exactly and every value must be finite.

    Raises ``ScanCorrupt``, ``ScanFormatUnknown``, ``ScanTooLarge`` or ``ScanUnusable``.
    """
    length = byte_count(source)
    limits.check_bytes(length)
    compressed = starts_with(source, 2) == GZIP_MAGIC
    with open_source(source) as file, gzip_errors():
        stream = gunzip(file) if compressed else file
        claims = read_claims(stream, limits)
        _check_room(claims, length * MAX_DEFLATE_RATIO if compressed else length)
        skip(stream, claims.gap)
        voxels = _read_voxels(stream, claims)
        if stream.read(1):
            raise ScanCorrupt("the file goes on behind the voxels its header claims; copy or export it again")
    return Volume(voxels, claims.geometry, Source("nifti", claims.grid, compressed))


def _check_room(claims: NiftiClaims, most_bytes: int) -> None:
    if claims.data_bytes > most_bytes:
        raise ScanCorrupt(
            f"the file ends before the voxels its header claims: {claims.data_bytes:,} bytes are claimed, and it can "
            f"hold at most {most_bytes:,}; copy or upload it again"
        )


def _read_voxels(stream: BinaryIO, claims: NiftiClaims) -> NDArray[np.float32]:
    flat = np.empty(claims.values, np.float32)
    block = memoryview(bytearray(min(BLOCK, claims.data_bytes)))
    step, not_finite = BLOCK // claims.dtype.itemsize, 0
    for start in range(0, claims.values, step):
        part = flat[start : start + step]
        data = block[: len(part) * claims.dtype.itemsize]
        fill(stream, data)
        _decode(np.frombuffer(data, claims.dtype), claims, part)
        not_finite += count_not_finite(part)
    refuse_not_finite(not_finite, claims.values)
    x, y, z = claims.geometry.shape
    return flat.reshape(claims.channels, z, y, x).transpose(0, 3, 2, 1)


def _decode(stored: NDArray[np.generic], claims: NiftiClaims, into: NDArray[np.float32]) -> None:
    with np.errstate(over="ignore", invalid="ignore"):  # overflow shows up as a voxel that is not finite
        if (claims.slope, claims.inter) == (1.0, 0.0):
            into[:] = stored
        else:
            into[:] = stored.astype(np.float64) * claims.slope + claims.inter
