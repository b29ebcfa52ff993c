"""One case looked at closely: every defect that shows without comparing it with other cases."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skipseg.models.errors import DatasetError, ScanTooLarge, ScanUnusable, SkipsegError
from skipseg.models.scans.geometry import Shape
from skipseg.models.scans.reader import read_scan
from skipseg.models.scans.volume import Volume, stack
from skipseg.training.datasets.defects import Defect
from skipseg.training.datasets.layouts import Case
from skipseg.training.datasets.mistakes import relative
from skipseg.training.datasets.truth import PICTURES, LabelVoxels, distinct, misfit, whole_values


@dataclass(frozen=True)
class Content:
    """A file's voxels, told apart by their SHA-256."""

    file: str
    digest: str
    constant: bool


@dataclass(frozen=True)
class Examined:
    """What comparing cases needs to know of one; None for what could not be read."""

    case: Case
    file: str  # the case's first image, relative to the dataset
    defects: tuple[Defect, ...]
    images: tuple[Content, ...]
    label: Content | None
    counts: dict[int, int] | None  # voxels per value, as the label file holds them
    channels: int | None
    shape: Shape | None
    spacing: tuple[float, ...] | None  # mm along Right, Anterior, Superior; None for pictures, which have none


def examine(folder: Path, case: Case) -> Examined:
    """Read a case's files and note what is wrong with each; raises nothing for what a file holds."""
    parts = [_open(folder, path) for path in case.images]
    truth = _open(folder, case.label) if case.label else None
    image, apart = _stack(parts)
    values, unfit = _whole(truth)
    defects = [
        *_unread(parts),
        *_unread([truth] if truth else []),
        *apart,
        *_constant(parts),
        *unfit,
        *_grid(image, truth),
    ]
    return Examined(
        case,
        relative(folder, case.images[0]),
        tuple(defects),
        images=tuple(content(part.file, part.volume) for part in parts if part.volume),
        label=content(truth.file, truth.volume) if truth and truth.volume else None,
        counts=None if values is None else {value: int((values == value).sum()) for value in sorted(distinct(values))},
        channels=image.channels if image else None,
        shape=image.geometry.shape if image else None,
        spacing=_spacing(image) if image and image.source.format not in PICTURES else None,
    )


@dataclass(frozen=True)
class _Opened:
    file: str
    volume: Volume | None
    error: SkipsegError | None = None


def _open(folder: Path, path: Path) -> _Opened:
    try:
        return _Opened(relative(folder, path), read_scan(path))
    except SkipsegError as error:
        return _Opened(relative(folder, path), None, error)


def _stack(parts: Sequence[_Opened]) -> tuple[Volume | None, list[Defect]]:
    volumes = [part.volume for part in parts if part.volume]
    if len(volumes) < len(parts):
        return None, []
    try:
        return stack(volumes), []
    except ScanUnusable as error:
        mend = "export all channels of the case on one grid"
        return None, [Defect(code="channels_apart", file=parts[0].file, problem=str(error), mend=mend)]


def _whole(truth: _Opened | None) -> tuple[LabelVoxels | None, list[Defect]]:
    if truth is None or truth.volume is None:
        return None, []
    try:
        return whole_values(truth.volume), []
    except DatasetError as error:
        mend = "export the label again as whole numbers, without interpolation"
        return None, [Defect(code="label_values", file=truth.file, problem=str(error), mend=mend)]


def _unread(parts: Sequence[_Opened]) -> Iterator[Defect]:
    for part in parts:
        if part.error:
            code = _CODES.get(type(part.error), "unreadable")
            yield Defect(
                code=code,
                file=part.file,
                problem=str(part.error),
                mend="export or copy the file again, or remove the case",
            )


_CODES: dict[type[Exception], str] = {ScanUnusable: "unusable", ScanTooLarge: "too_large"}


def _constant(parts: Sequence[_Opened]) -> Iterator[Defect]:
    for part in parts:
        if part.volume is None:
            continue
        for number, channel in enumerate(part.volume.voxels):
            which = f"channel {number}" if part.volume.channels > 1 else "the image"
            if channel.min() == channel.max():
                problem = f"{which} has the value {channel.flat[0]:g} everywhere"
                yield Defect(
                    code="constant_image", file=part.file, problem=problem, mend="export it again, or remove the case"
                )


def _grid(image: Volume | None, truth: _Opened | None) -> Iterator[Defect]:
    if image is None or truth is None or truth.volume is None:
        return
    problem = misfit(image, truth.volume)
    if problem and image.geometry.shape != truth.volume.geometry.shape:
        swapped = sorted(image.geometry.shape) == sorted(truth.volume.geometry.shape)
        mend = (
            "the label's axes seem swapped: turn them back" if swapped else "resample the label onto the image's grid"
        )
        yield Defect(code="shapes_differ", file=truth.file, problem=problem, mend=mend)
    elif problem:
        mend = "if their voxels do correspond, copy the image's affine into the label, otherwise resample the label"
        yield Defect(code="affines_differ", file=truth.file, problem=problem, mend=mend)


def content(file: str, volume: Volume) -> Content:
    """A file by what it holds, however that is stored."""
    voxels = volume.voxels + 0.0  # -0.0 becomes 0.0, so equal voxels have equal bytes
    digest = hashlib.sha256(repr(voxels.shape).encode() + np.ascontiguousarray(voxels).tobytes())
    return Content(file, digest.hexdigest(), bool(voxels.min() == voxels.max()))


def _spacing(image: Volume) -> tuple[float, ...]:
    return image.geometry.turned(image.geometry.turn_to("RAS")).spacing
