"""A DICOM SEG as a label image on the grid of its scan.

Every marked pixel goes to the voxel that it lies in: frames may be in any order, left out where they are empty, turned
or mirrored against the scan. What does not meet the scan's voxels is refused rather than resampled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from skipseg.models.errors import ScanFormatUnknown, ScanUnusable
from skipseg.models.scans.dicom.parse import damage_told, is_dicom, read_all, read_header
from skipseg.models.scans.dicom.parts import Part, parts_of
from skipseg.models.scans.geometry import Geometry
from skipseg.models.scans.limits import Limits
from skipseg.models.scans.streams import ScanSource
from skipseg.models.scans.volume import Source, Volume

NEAR_MM = 0.05  # between a pixel and the voxel that it is taken for: headers are rounded
SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless)
TO_RAS = np.diag([-1.0, -1.0, 1.0])
NAME_LENGTH = 64  # of a segment's label (PS3.5, LO): names are cut to it where they are written

_MODALITY = 0x00080060


@dataclass(frozen=True, eq=False)
class _Frame:
    """One plane of a segment; of a labelmap, of all of them."""

    segment: int | None
    position: NDArray[np.float64]  # of its first pixel's centre, RAS+ mm
    down: NDArray[np.float64]  # from a row to the next
    right: NDArray[np.float64]  # from a column to the next


def is_segmentation(source: ScanSource, limits: Limits) -> bool:
    """Whether it is one DICOM file whose modality is SEG."""
    with parts_of(source, limits) as parts:
        if len(parts) != 1 or not is_dicom(parts[0].head()):
            return False
        return str(read_header(parts[0], [_MODALITY])[0].get("Modality")) == "SEG"


def read_segmentation(source: ScanSource, grid: Geometry, values: Mapping[str, int], limits: Limits) -> Volume:
    """The label values (1, X, Y, Z) on ``grid``: each segment has the value of the name that it is called by.

    Names are compared without regard to case. Raises ``ScanUnusable`` for other names, fractions, overlapping segments
    and pixels that do not lie on the grid; ``ScanCorrupt``, ``ScanTooLarge``, ``ScanFormatUnknown`` as ``read_scan``.
    """
    with parts_of(source, limits) as (part,):
        dataset = _checked(part, limits)
        with damage_told():
            numbers = _values(dataset, values)
            frames = list(_frames(dataset))
            pixels = np.atleast_3d(dataset.pixel_array).reshape(len(frames), dataset.Rows, dataset.Columns)
    voxels = np.zeros(grid.shape, np.float32)
    for frame, plane in zip(frames, pixels, strict=True):
        _mark(voxels, grid, frame, plane, numbers)
    return Volume(voxels[np.newaxis], grid, Source("dicom"))


def _checked(part: Part, limits: Limits) -> Dataset:
    """The object, looked at before its pixels are decoded."""
    limits.check_bytes(part.size)
    dataset = read_all(part)
    with damage_told():
        limits.check_shape((int(dataset.Rows), int(dataset.Columns), int(dataset.NumberOfFrames)))
        syntax, kind = dataset.file_meta.TransferSyntaxUID, str(dataset.SegmentationType)
    if syntax not in SYNTAXES:
        raise ScanFormatUnknown("a DICOM SEG is read uncompressed or in RLE; this one is packed otherwise: convert it")
    if kind not in ("BINARY", "LABELMAP"):
        raise ScanUnusable("a DICOM SEG must be BINARY or LABELMAP to be a label; this one holds fractions")
    return dataset


def _values(dataset: Dataset, values: Mapping[str, int]) -> dict[int, int]:
    """Label value by segment number."""
    known = {_folded(name): value for name, value in values.items()}
    named = {int(segment.SegmentNumber): _folded(str(segment.SegmentLabel)) for segment in dataset.SegmentSequence}
    strangers = [number for number, name in named.items() if number and name not in known]
    if strangers:
        raise ScanUnusable(
            f"segments {strangers[:8]} are called otherwise than the labels of the dataset, which are "
            f"{', '.join(values)}; name them so"
        )
    return {number: known[name] for number, name in named.items() if number}


def _folded(name: str) -> str:
    return name.strip()[:NAME_LENGTH].strip().casefold()


def _frames(dataset: Dataset) -> Iterator[_Frame]:
    shared = dataset.SharedFunctionalGroupsSequence[0]
    for own in dataset.PerFrameFunctionalGroupsSequence:
        measures = _group("PixelMeasuresSequence", own, shared)
        row, column = np.array(
            _group("PlaneOrientationSequence", own, shared).ImageOrientationPatient, dtype=np.float64
        ).reshape(2, 3)
        apart = [float(mm) for mm in measures.PixelSpacing]  # between rows, between columns
        position = np.array(_group("PlanePositionSequence", own, shared).ImagePositionPatient, dtype=np.float64)
        segment = None
        if dataset.SegmentationType == "BINARY":
            segment = int(_group("SegmentIdentificationSequence", own, shared).ReferencedSegmentNumber)
        yield _Frame(segment, TO_RAS @ position, TO_RAS @ column * apart[0], TO_RAS @ row * apart[1])


def _group(name: str, own: Dataset, shared: Dataset) -> Dataset:
    found: Dataset = (own if name in own else shared)[name].value[0]
    return found


def _mark(
    voxels: NDArray[np.float32], grid: Geometry, frame: _Frame, plane: NDArray[np.uint8], numbers: Mapping[int, int]
) -> None:
    rows, columns = np.nonzero(plane)
    if not len(rows):
        return
    at = _voxels_of(grid, frame, rows, columns)
    said = np.full(len(rows), frame.segment) if frame.segment is not None else plane[rows, columns].astype(np.int64)
    found, where = np.unique(said, return_inverse=True)
    if unknown := set(found.tolist()) - set(numbers):
        raise ScanUnusable(
            f"the pixels of the DICOM SEG name segments {sorted(unknown)[:8]}, which it does not describe"
        )
    marks = np.array([numbers[number] for number in found.tolist()])[where]
    before = voxels[tuple(at)]
    if ((before != 0) & (before != marks)).any():
        raise ScanUnusable("two segments overlap, so that a voxel would have two labels; make them disjoint")
    voxels[tuple(at)] = marks


def _voxels_of(grid: Geometry, frame: _Frame, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Voxel indices (3, N) of pixels."""
    back = np.linalg.inv(grid.affine)
    step, start = (
        back[:3, :3] @ np.stack([frame.down, frame.right], axis=1),
        back[:3, :3] @ frame.position + back[:3, 3],
    )
    exact = start[:, np.newaxis] + step @ np.stack([rows, columns])
    at: NDArray[np.int64] = np.rint(exact).astype(np.int64)
    apart = np.linalg.norm(grid.affine[:3, :3] @ (exact - at), axis=0).max()
    if apart > NEAR_MM:
        raise ScanUnusable(f"pixels of the DICOM SEG lie {apart:.2f} mm beside the scan's voxels; make it on the scan")
    if (at < 0).any() or (at >= np.array(grid.shape)[:, np.newaxis]).any():
        raise ScanUnusable("the DICOM SEG marks pixels outside of the scan; make it on the scan")
    return at
