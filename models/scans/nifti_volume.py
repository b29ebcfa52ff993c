"""A volume as a NIfTI file on its own grid, for programs that read nothing else, with no word of the scan's header.

Values are what the reader made of the file; they are stored in the smallest type that holds them all exactly. Channels
become the fourth axis, as ``read_nifti`` takes them.
"""

from __future__ import annotations

import numpy as np
from isal import igzip
from numpy.typing import NDArray

from skipseg.models.scans.masks import nifti_header
from skipseg.models.scans.volume import Volume

WHOLE = (np.uint8, np.int16, np.uint16)


def encode_volume(volume: Volume) -> bytes:
    """The file, compressed lightly: it is made to be looked at, not kept."""
    kind = _smallest(volume.voxels)
    header = nifti_header(volume.geometry, volume.source)
    if volume.channels > 1:
        header.set_data_shape((*volume.geometry.shape, volume.channels))
    header.set_data_dtype(kind)
    header["magic"], header["vox_offset"] = header.single_magic, header.single_vox_offset
    header["scl_slope"], header["scl_inter"] = 1, 0
    header["cal_min"], header["cal_max"] = 0, 0
    stored = volume.voxels.transpose(0, 3, 2, 1).astype(kind, order="C")
    return igzip.compress(b"".join((header.binaryblock, bytes(4), stored.data.cast("B"))), 1, mtime=0)


def _smallest(voxels: NDArray[np.float32]) -> np.dtype[np.generic]:
    if all(np.array_equal(plane, np.rint(plane)) for channel in voxels for plane in channel):
        low, high = float(voxels.min()), float(voxels.max())
        for kind in WHOLE:
            if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
                return np.dtype(kind)
    return np.dtype(np.float32)
