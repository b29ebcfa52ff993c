"""A DICOM series to a volume. Read ``read_series`` first.

Highest in memory are the headers, the voxels, and the pixels of one file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from skipseg.models.errors import ScanUnusable
from skipseg.models.scans.dicom.alike import check_alike
from skipseg.models.scans.dicom.choice import SeriesChoice
from skipseg.models.scans.dicom.found import Contents, Series, contents_of
from skipseg.models.scans.dicom.grid import Stack, geometry_of, irregularity, stacked, twins, without
from skipseg.models.scans.dicom.header import SeriesHeader
from skipseg.models.scans.dicom.parse import damage_told, read_header
from skipseg.models.scans.dicom.parts import DicomSource, parts_of
from skipseg.models.scans.dicom.pick import pick
from skipseg.models.scans.dicom.pixels import check_pixels, is_lossy, values_of
from skipseg.models.scans.dicom.planes import TOLERANCE_MM, planes_of
from skipseg.models.scans.dicom.regrid import regridded
from skipseg.models.scans.finite import require_finite
from skipseg.models.scans.geometry import Geometry
from skipseg.models.scans.limits import Limits
from skipseg.models.scans.volume import Source, Volume, stack


def read_dicom(source: DicomSource, limits: Limits, choice: SeriesChoice) -> Volume:
    """The series that is chosen among all of a source; of several channels one series each.

    Raises ``ScanCorrupt``, ``ScanFormatUnknown``, ``ScanTooLarge`` and ``ScanUnusable``.
    """
    with parts_of(source, limits) as parts:
        contents = contents_of(parts)
        channels = max(len(choice.named), len(choice.rules), 1)
        chosen = [pick(contents, choice.of_channel(number)) for number in range(channels)]
        _refuse_one_twice(chosen)
        return together([read_series(series, contents, limits, choice) for series in chosen])


def together(volumes: list[Volume]) -> Volume:
    """The channels of one scan, whose header keeps those of all.

    Raises ``ScanUnusable`` for different grids, and for equal ones in different frames of reference: there equal
    numbers are different places (PS3.3 C.7.4.1).
    """
    whole = stack(volumes)
    first, *beside = (volume.source.header for volume in volumes)
    if len({header.frame_of_reference for header in (first, *beside)}) > 1:
        raise ScanUnusable(
            "all channels must share one frame of reference, and these series have several: register them first, or "
            "export them from one study that was acquired in one go"
        )
    used = sum(len(header.slices) for header in beside)
    header = replace(first, beside=tuple(beside), ignored=first.ignored - used) if beside else first
    return replace(whole, source=replace(whole.source, header=header))


def read_series(series: Series, contents: Contents, limits: Limits, choice: SeriesChoice) -> Volume:
    """One series: headers, then where its planes lie, then their values. Raises as ``read_dicom`` does."""
    images = series.without_localizers().images
    _check_size(images[0].size, len(images), sum(image.part.size for image in images), limits)
    headers = [(image.part, read_header(image.part)[0]) for image in images]
    with damage_told():
        lossy = any(is_lossy(header) for _, header in headers)
    for _, header in headers:
        check_pixels(header)
    planes = _without_twins(stacked(planes_of(headers)))
    check_alike(planes)
    ignored = contents.files - len({id(plane.header) for plane in planes.planes})
    if choice.geometry == "resample" and len(planes.planes) > 1 and (irregular := irregularity(planes)):
        voxels, geometry = regridded(planes, limits)
        return _volume(voxels, geometry, _header(planes, ignored, lossy, irregular))
    geometry = geometry_of(planes)
    return _volume(_filled(planes, geometry), geometry, _header(planes, ignored, lossy, None))


def _refuse_one_twice(chosen: Sequence[Series]) -> None:
    if len({series.uid for series in chosen}) < len(chosen):
        raise ScanUnusable(
            "two channels of the model would take the same series; name one for each channel, with commas between"
        )


def _check_size(size: tuple[int, int, int], files: int, bytes_: int, limits: Limits) -> None:
    columns, rows, frames = size
    limits.check_bytes(bytes_)
    limits.check_shape((columns, rows, frames * files))


def _without_twins(planes: Stack) -> Stack:
    """Each place once: of slices that are the same in every value one is kept.

    Raises ``ScanUnusable`` for two in one place that differ.
    """
    dropped = set[int]()
    for first, second in twins(planes):
        apart = np.abs(planes.positions[first] - planes.positions[second]).max()
        one, other = values_of([planes.planes[first]]), values_of([planes.planes[second]])
        if apart > TOLERANCE_MM or not np.array_equal(next(one), next(other)):
            raise ScanUnusable(
                f"two slices lie at {planes.heights[first]:.2f} mm and differ: these are several acquisitions (times, "
                "echoes, directions) or a mixture; send the slices of one alone"
            )
        dropped.add(first)
    return without(planes, dropped)


def _filled(planes: Stack, geometry: Geometry) -> NDArray[np.float32]:
    """Voxels (Z, Y, X), the only large array."""
    x, y, z = geometry.shape
    voxels = np.empty((z, y, x), np.float32)
    for into, values in zip(voxels, values_of(planes.planes), strict=True):
        into[:] = values
    return voxels


def _header(planes: Stack, ignored: int, lossy: bool, resampled: str | None) -> SeriesHeader:
    first = planes.planes[0]
    if first.frame is None:
        return SeriesHeader(tuple(plane.header for plane in planes.planes), None, resampled, ignored, lossy)
    frames = tuple((plane.frame or 0) + 1 for plane in planes.planes)
    return SeriesHeader((first.header,), frames, resampled, ignored, lossy)


def _volume(voxels: NDArray[np.float32], geometry: Geometry, header: SeriesHeader) -> Volume:
    require_finite(voxels)
    return Volume(voxels.transpose(2, 1, 0)[None], geometry, Source("dicom", header))
