"""Masks to files: on the scan's own grid, by default in the scan's own format.

Equal masks are equal bytes: no times, no names, no text of the scan's header. DICOM alone must have the day, and the
patient that its scan names; there equal masks have equal UIDs.
"""

from __future__ import annotations

import io
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from isal import igzip
from nibabel.nifti1 import Nifti1Header, Nifti1Image
from nibabel.nifti2 import Nifti2Header, Nifti2Image
from numpy.typing import NDArray
from PIL import Image

from skipseg.models.errors import UsageError
from skipseg.models.scans.geometry import Geometry
from skipseg.models.scans.itk import ItkGrid, encode_itk
from skipseg.models.scans.summary import summarise
from skipseg.models.scans.volume import Mask, Source


@dataclass(frozen=True)
class MaskFormat:
    """One way to store a mask."""

    name: str
    suffix: str
    media_type: str


DICOM = "application/dicom"
MASK_FORMATS: dict[str, MaskFormat] = {
    form.name: form
    for form in (
        MaskFormat("nifti", ".nii.gz", "application/x-nifti"),
        MaskFormat("nrrd", ".nrrd", "application/x-nrrd"),
        MaskFormat("mha", ".mha", "application/x-mha"),
        MaskFormat("png", ".png", "image/png"),
        MaskFormat("tiff", ".tif", "image/tiff"),
        MaskFormat("json", ".json", "application/json"),
        MaskFormat("dicom-seg", ".dcm", DICOM),
        MaskFormat("dicom-seg-labelmap", ".dcm", DICOM),
        MaskFormat("dicom-sr", ".dcm", DICOM),
        MaskFormat("rtstruct", ".dcm", DICOM),
    )
}
DICOM_FORMATS = tuple(form.name for form in MASK_FORMATS.values() if form.media_type == DICOM)  # for DICOM scans alone
_OWN = {"dicom": "dicom-seg"}  # scans whose masks have another format than they


@dataclass(frozen=True)
class MaskFile:
    """A mask's bytes, and what whoever gets them should know: how the scan was read, and what the file lacks."""

    content: bytes
    notes: tuple[str, ...] = ()


def own_format(source: Source) -> str:
    """The format of a mask whose scan was stored that way, when no other is asked for."""
    return _OWN.get(source.format, source.format)


def encode_mask(mask: Mask, format: str | None = None) -> bytes:
    """The file of a mask: ``format`` is a name of ``MASK_FORMATS``, or None for the scan's own format.

    Labels are stored as uint8, or as uint16 where one is above 255. Raises ``UsageError`` for an unknown format and
    for a format that cannot hold the mask.
    """
    return mask_file(mask, format).content


def mask_file(mask: Mask, format: str | None = None) -> MaskFile:
    """As ``encode_mask``, with what there is to say of it."""
    return _encoded(mask, _known(format or own_format(mask.source)), _compressed(mask))


def mask_suffix(mask: Mask, format: str | None = None) -> str:
    """How the name of the mask's file ends: ``.nii`` for the mask of a plain NIfTI scan, else the format's suffix."""
    name = _known(format or own_format(mask.source))
    return ".nii" if name == "nifti" and not _compressed(mask) else MASK_FORMATS[name].suffix


def write_mask(mask: Mask, path: Path, format: str | None = None) -> tuple[str, ...]:
    """Write a mask's file whole or not at all, and give what there is to say of it; the folder must exist.

    Without a ``format`` the path's suffix decides, or else the scan's own format. A NIfTI file is compressed exactly
    if its name says so, because other programs believe the name.
    """
    name = _known(format or format_of(path) or own_format(mask.source))
    file = _encoded(mask, name, not path.name.lower().endswith(".nii"))
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        part.write_bytes(file.content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return file.notes


def _encoded(mask: Mask, name: str, compressed: bool) -> MaskFile:
    told = mask.source.notes
    if name not in DICOM_FORMATS:
        return MaskFile(_ENCODERS[name](mask, compressed), told)
    from skipseg.models.scans.dicom.written.file import written  # highdicom takes a second to import

    file = written(mask, name)
    return MaskFile(file.content, (*told, *file.notes))


def _known(name: str) -> str:
    if name not in MASK_FORMATS:
        raise UsageError(f"a mask can be written as {', '.join(MASK_FORMATS)}; got {name!r}")
    return name


def format_of(path: Path) -> str | None:
    """The format that a mask file's name stands for, the first of those that share it; None for no mask's name."""
    if path.name.lower().endswith((".nii", ".nii.gz")):
        return "nifti"
    suffix = path.suffix.lower().replace(".tiff", ".tif")
    return next((form.name for form in MASK_FORMATS.values() if form.suffix == suffix), None)


def without_suffix(path: Path) -> Path:
    """A mask file's path without what names its format."""
    name = path.name[: -len(".gz")] if path.name.lower().endswith(".nii.gz") else path.name
    return path.with_name(name).with_suffix("") if format_of(path) else path


def _compressed(mask: Mask) -> bool:
    """As the scan was; scans of other formats get compressed masks."""
    return mask.source.compressed or mask.source.format not in ("nifti", "nrrd", "mha")


def _voxels(mask: Mask) -> NDArray[np.unsignedinteger]:
    """Label values (X, Y, Z) in the smallest type that holds all labels."""
    return mask.voxels.astype(np.uint8 if max(mask.labels.values) < 256 else np.uint16, copy=False)


def _nifti(mask: Mask, compressed: bool) -> bytes:
    voxels, header = _voxels(mask), nifti_header(mask.geometry, mask.source)
    header.set_data_dtype(voxels.dtype)
    header["magic"], header["vox_offset"] = header.single_magic, header.single_vox_offset
    header["scl_slope"], header["scl_inter"] = 1, 0
    data = header.binaryblock + bytes(4) + voxels.tobytes(order="F")  # four zeros: no extensions follow
    return igzip.compress(data, 1, mtime=0) if compressed else data


def nifti_header(geometry: Geometry, source: Source) -> Nifti1Header | Nifti2Header:
    """A header for a scan's own grid: its own placing fields where it was NIfTI."""
    if source.format == "nifti":
        same = Nifti1Header if len(source.header) == Nifti1Header.sizeof_hdr else Nifti2Header
        return same(source.header, check=False)
    image = Nifti1Image if max(geometry.shape) < 2**15 else Nifti2Image
    nothing = np.broadcast_to(np.uint8(0), geometry.shape)
    header: Nifti1Header | Nifti2Header = image(nothing, geometry.affine).header
    header.set_xyzt_units("mm")
    return header


def _itk(suffix: str) -> Callable[[Mask, bool], bytes]:
    def encode(mask: Mask, compressed: bool) -> bytes:
        grid = mask.source.header if mask.source.format in ("nrrd", "mha") else ItkGrid.of(mask.geometry)
        return encode_itk(_voxels(mask), grid, suffix, compressed)

    return encode


def _png(mask: Mask, compressed: bool) -> bytes:
    if mask.geometry.shape[2] > 1:
        raise UsageError(f"a PNG holds one slice; this mask has {mask.geometry.shape[2]}; ask for tiff or nifti")
    file = io.BytesIO()
    Image.fromarray(_rows(mask)[0]).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _tiff(mask: Mask, compressed: bool) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(
        file, _rows(mask), photometric="minisblack", compression="zlib", metadata=None, software=False, datetime=None
    )
    return file.getvalue()


def _rows(mask: Mask) -> NDArray[np.unsignedinteger]:
    """Pages of rows of columns (Z, Y, X), as images are stored."""
    return np.ascontiguousarray(_voxels(mask).T)


def _json(mask: Mask, compressed: bool) -> bytes:
    return (summarise(mask).model_dump_json(indent=2) + "\n").encode()


_ENCODERS: dict[str, Callable[[Mask, bool], bytes]] = {
    "nifti": _nifti,
    "nrrd": _itk(".nrrd"),
    "mha": _itk(".mha"),
    "png": _png,
    "tiff": _tiff,
    "json": _json,
}
