"""DICOM on its way into a dataset: voxels, and where they lie, are kept as NIfTI; no header travels with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from skipseg.models.errors import ScanUnusable
from skipseg.models.labels import Labels
from skipseg.models.scans.dicom.header import SeriesHeader
from skipseg.models.scans.dicom.segmentation import is_segmentation, read_segmentation
from skipseg.models.scans.limits import Limits
from skipseg.models.scans.maps import Map, write_map
from skipseg.models.scans.reader import read_scan
from skipseg.models.scans.volume import Source, Volume
from skipseg.training.deidentify.kinds import burned_in

NO_HEADER = Source("nifti", None, compressed=True)


def read_label(path: Path, image: Volume, labels: Labels, limits: Limits) -> Volume:
    """A label in any format; of a DICOM SEG, its segments are called like ``labels``. Raises as ``read_scan``."""
    if not is_segmentation(path, limits):
        return read_scan(path, limits)
    return read_segmentation(path, image.geometry, {label.name: label.value for label in labels.foreground}, limits)


def without_header(path: Path, volume: Volume) -> tuple[Path, Volume]:
    """The file of a volume, another one beside it if it was DICOM. Raises as ``write_without_header``."""
    if volume.source.format != "dicom":
        return path, volume
    kept = path.with_name(f"{path.name}.nii.gz")
    write_without_header(volume, kept)
    return kept, Volume(volume.voxels, volume.geometry, NO_HEADER)


def write_without_header(volume: Volume, path: Path) -> None:
    """A NIfTI file of a DICOM volume: equal voxels on one grid are equal bytes.

    Raises ``ScanUnusable`` where text is burned into the pixels, or is likely to be.
    """
    _refuse_burned_in(volume.source.header)
    whole = np.rint(volume.voxels)
    is_small = np.array_equal(whole, volume.voxels) and whole.min() >= 0 and whole.max() < 256
    voxels = whole.astype(np.uint8) if is_small else volume.voxels
    write_map(Map("voxels", voxels, 1.0, volume.geometry, Source("dicom")), path)


def _refuse_burned_in(header: SeriesHeader | None) -> None:
    for slice_ in header.slices if header else ():
        if burned_in(slice_) is not None:
            raise ScanUnusable(
                "this image says that text is burned into its pixels, or is of a kind that usually has some "
                "(ultrasound, secondary captures, screenshots); a dataset keeps no image that may tell a name"
            )
