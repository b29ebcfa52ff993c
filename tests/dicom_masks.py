"""Masks of DICOM series that look different from every side, and where others find them again."""

from __future__ import annotations

import io
import subprocess
from copy import deepcopy
from pathlib import Path

import highdicom as hd
import numpy as np
import pytest
from dicom_series import into, series
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.uid import EnhancedMRImageStorage, generate_uid

from skipseg.models.labels import Labels
from skipseg.models.scans.maker import Maker, Trust
from skipseg.models.scans.masks import encode_mask
from skipseg.models.scans.reader import read_scan
from skipseg.models.scans.volume import Mask, Volume

LABELS = Labels.from_names({1: "liver", 2: "kidney_left", 3: "scrap"})
TRUST = Trust(score=0.51239, certainty=0.9, size=0.56, entropy=0.1, flags=("liver has 3 mm3; in training it had more",))
MAKER = Maker("organs", 3, "ab" * 32, "0.1.0", TRUST)


def mask_on(volume: Volume, labels: Labels = LABELS, maker: Maker | None = MAKER) -> Mask:
    """Every label, spread so that no turn or shift of the grid gives the same."""
    values = np.array(labels.values, np.uint16)
    where = np.random.default_rng(7).integers(0, len(values), volume.geometry.shape)
    where[: volume.geometry.shape[0] // 3] = 0
    return Mask(values[where], volume.geometry, volume.source, labels, maker)


def read_series(folder: Path, datasets: list[Dataset] | None = None) -> Volume:
    return read_scan(into(folder, series() if datasets is None else datasets))


def numbered(mask: Mask) -> NDArray[np.integer]:
    """Segment numbers instead of label values."""
    numbers = np.zeros(max(mask.labels.values) + 1, int)
    numbers[list(mask.labels.values)] = np.arange(len(mask.labels))
    return numbers[mask.voxels]


def by_highdicom(file: bytes, mask: Mask) -> NDArray[np.integer]:
    """The segment numbers of a segmentation, as highdicom reads and places them, on the mask's grid."""
    found = hd.seg.Segmentation.from_dataset(as_dataset(file)).get_volume(combine_segments=True)
    return placed(found.array, found.affine, mask)


def placed(numbers: NDArray[np.integer], affine: NDArray[np.float64], mask: Mask) -> NDArray[np.integer]:
    """Numbers that lie at ``affine`` (to LPS millimetres) on the mask's grid; they must hit its voxels to 0.01 mm."""
    index = np.argwhere(numbers)
    at = index @ affine[:3, :3].T + affine[:3, 3]
    to_index = np.linalg.inv(np.diag([-1.0, -1.0, 1.0, 1.0]) @ mask.geometry.affine)
    exact = at @ to_index[:3, :3].T + to_index[:3, 3]
    nearest = np.round(exact).astype(int)
    assert np.all(np.abs(exact - nearest) * mask.geometry.spacing < 0.01)
    found = np.zeros(mask.geometry.shape, int)
    found[tuple(nearest.T)] = numbers[tuple(index.T)]
    return found


def as_dataset(file: bytes) -> Dataset:
    return dcmread(io.BytesIO(file))


def enhanced(slices: list[Dataset]) -> Dataset:
    """The same images as one multi-frame object."""
    one = deepcopy(slices[0])
    one.SOPClassUID, one.SOPInstanceUID = EnhancedMRImageStorage, generate_uid()
    one.Modality, one.NumberOfFrames = "MR", len(slices)
    shared, orientation, measures = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = one.ImageOrientationPatient
    measures.PixelSpacing, measures.SliceThickness = one.PixelSpacing, one.SliceThickness
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    one.SharedFunctionalGroupsSequence, one.PerFrameFunctionalGroupsSequence = [shared], []
    for number, image in enumerate(slices, 1):
        group, position, content = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = image.ImagePositionPatient
        content.StackID, content.InStackPositionNumber, content.DimensionIndexValues = "1", number, [number]
        group.PlanePositionSequence, group.FrameContentSequence = [position], [content]
        one.PerFrameFunctionalGroupsSequence.append(group)
    one.PixelData = b"".join(image.PixelData for image in slices)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(one, keyword)
    return one


def complaints(file: bytes, folder: Path) -> list[str]:
    """What dciodvfy calls an error."""
    path = folder / "judged.dcm"
    path.write_bytes(file)
    program = Path("/usr/bin/dciodvfy")
    if not program.exists():
        pytest.skip("dciodvfy is not installed (Debian's dicom3tools)")
    said = subprocess.run([program, path], capture_output=True, text=True, check=False).stderr
    return [line for line in said.splitlines() if line.startswith("Error")]


def written(mask: Mask, format: str = "dicom-seg") -> Dataset:
    return as_dataset(encode_mask(mask, format))
