"""DICOM files made here: series of known geometry, and ways to spoil them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
STEP = 2.5


def pixels(slices: int = 6, rows: int = 7, columns: int = 9) -> NDArray[np.int16]:
    """Values (slices, rows, columns) that look different from every side, from -500 to 1500."""
    count = slices * rows * columns
    return (np.arange(count) * 37 % 2000 - 500).astype(np.int16).reshape(slices, rows, columns)


def series(
    values: NDArray[np.generic] | None = None,
    positions: Sequence[Sequence[float]] | None = None,
    orientation: Sequence[float] = AXIAL,
    spacing: tuple[float, float] = (0.8, 0.7),
    uid: str | None = None,
    **elements: object,
) -> list[Dataset]:
    """A series of one image a slice; by default slices are ``STEP`` apart along their normal. ``spacing``: of rows, of
    columns."""
    values = pixels() if values is None else values
    normal = np.cross(orientation[:3], orientation[3:])
    if positions is None:
        positions = [tuple(np.array([-10.0, 20.0, 30.0]) + normal * STEP * k) for k in range(len(values))]
    shared = {"study": generate_uid(), "series": uid or generate_uid(), "frame": generate_uid()}
    return [
        _slice(plane, place, orientation, spacing, shared, number, elements)
        for number, (plane, place) in enumerate(zip(values, positions, strict=True), 1)
    ]


def _slice(
    values: NDArray[np.generic],
    place: Sequence[float],
    orientation: Sequence[float],
    spacing: tuple[float, float],
    shared: dict[str, str],
    number: int,
    elements: dict[str, object],
) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = CTImageStorage if elements.get("Modality", "CT") == "CT" else MRImageStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = shared["study"], shared["series"]
    dataset.FrameOfReferenceUID = shared["frame"]
    dataset.Modality, dataset.ImageType, dataset.SliceThickness = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"], STEP
    dataset.PatientName, dataset.PatientID = "Doe^Jane", "ID-4711-Q"
    dataset.InstanceNumber, dataset.SeriesDescription = number, "T1 post"
    dataset.ImagePositionPatient = [round(float(mm), 6) for mm in place]
    dataset.ImageOrientationPatient = [round(float(cosine), 8) for cosine in orientation]
    dataset.PixelSpacing = [float(mm) for mm in spacing]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    store(dataset, values)
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def enhanced(
    values: NDArray[np.generic],
    positions: Sequence[Sequence[float]],
    orientation: Sequence[float] = AXIAL,
    spacing: tuple[float, float] = (0.8, 0.7),
    slopes: Sequence[float] | None = None,
) -> Dataset:
    """A multi-frame image with functional groups, such as enhanced CT; ``slopes``: of each frame, else one for all."""
    (dataset,) = series(values[:1])
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(dataset, keyword)
    del dataset.RescaleSlope, dataset.RescaleIntercept
    dataset.SOPClassUID, dataset.NumberOfFrames = EnhancedCTImageStorage, len(values)
    store(dataset, values)
    shared = Dataset()
    shared.PlaneOrientationSequence = [_item(ImageOrientationPatient=[float(cosine) for cosine in orientation])]
    shared.PixelMeasuresSequence = [_item(PixelSpacing=[float(mm) for mm in spacing], SliceThickness=STEP)]
    if slopes is None:
        shared.PixelValueTransformationSequence = [_item(RescaleSlope=1, RescaleIntercept=-24, RescaleType="HU")]
    dataset.SharedFunctionalGroupsSequence, frames = [shared], []
    for number, place in enumerate(positions):
        frame = Dataset()
        frame.PlanePositionSequence = [_item(ImagePositionPatient=[round(float(mm), 6) for mm in place])]
        if slopes is not None:
            scale = _item(RescaleSlope=slopes[number], RescaleIntercept=0, RescaleType="HU")
            frame.PixelValueTransformationSequence = [scale]
        frames.append(frame)
    dataset.PerFrameFunctionalGroupsSequence = frames
    return dataset


def _item(**elements: object) -> Dataset:
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return item


def store(dataset: Dataset, values: NDArray[np.generic]) -> None:
    """Put uncompressed pixels into a dataset, as wide as their type."""
    dataset.Rows, dataset.Columns = values.shape[-2:]
    dataset.BitsAllocated = dataset.BitsStored = 8 * values.dtype.itemsize
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, int(values.dtype.kind == "i")
    data = values.tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OW" if values.dtype.itemsize > 1 else "OB"


def stored(dataset: Dataset) -> bytes:
    """A file of part 10."""
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def into(folder: Path, datasets: Iterable[Dataset], start: int = 0) -> Path:
    """Write a folder of files whose names say nothing, and give it back."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, dataset in enumerate(datasets, start):
        (folder / f"IM{number:05}").write_bytes(stored(dataset))
    return folder


def read_all(folder: Path) -> list[Dataset]:
    return [dcmread(path) for path in sorted(folder.iterdir())]


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A zip of files, deflated."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in files.items():
            target.writestr(name, data)
    return archive.getvalue()


def zip_of_series(datasets: Iterable[Dataset], folder: str = "") -> bytes:
    return zipped({f"{folder}{number:04}": stored(one) for number, one in enumerate(datasets)})
