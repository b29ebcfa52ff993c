"""Masks to files: on the scan's own grid, by default in the scan's own format."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from isal import igzip
from nibabel.nifti1 import Nifti1Header, Nifti1Image
from nibabel.nifti2 import Nifti2Header
from numpy.typing import NDArray

from skipseg.models.errors import UsageError
from skipseg.models.scans.volume import Mask


@dataclass(frozen=True)
class MaskFormat:
    """One way to store a mask."""

    name: str
    suffix: str
    media_type: str


MASK_FORMATS: dict[str, MaskFormat] = {
    form.name: form for form in (MaskFormat("nifti", ".nii.gz", "application/x-nifti"),)
}


def encode_mask(mask: Mask, format: str | None = None) -> bytes:
    """The file of a mask: ``format`` is a name of ``MASK_FORMATS``, or None for the scan's own format."""
    return _ENCODERS[_known(format or mask.source.format)](mask)


def mask_suffix(mask: Mask, format: str | None = None) -> str:
    """How the name of the mask's file ends: ``.nii`` for the mask of a plain NIfTI scan."""
    name = _known(format or mask.source.format)
    return ".nii" if name == "nifti" and not _compressed(mask) else MASK_FORMATS[name].suffix


def write_mask(mask: Mask, path: Path, format: str | None = None) -> None:
    """Write a mask's file whole or not at all; the folder must exist."""
    data = encode_mask(mask, format)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _known(name: str) -> str:
    if name not in MASK_FORMATS:
        raise UsageError(f"a mask can be written as {', '.join(MASK_FORMATS)}; got {name!r}")
    return name


def _compressed(mask: Mask) -> bool:
    return mask.source.compressed or mask.source.format != "nifti"


def _voxels(mask: Mask) -> NDArray[np.unsignedinteger]:
    """Label values in the smallest type that holds them all."""
    return mask.voxels.astype(np.uint8 if max(mask.labels.values) < 256 else np.uint16)


def _nifti(mask: Mask) -> bytes:
    voxels, header = _voxels(mask), _nifti_header(mask)
    header.set_data_dtype(voxels.dtype)
    header["magic"], header["vox_offset"] = header.single_magic, header.single_vox_offset
    header["scl_slope"], header["scl_inter"] = 1, 0
    data = header.binaryblock + bytes(4) + voxels.tobytes(order="F")  # four zeros: no extensions follow
    return igzip.compress(data, 1, mtime=0) if _compressed(mask) else data


def _nifti_header(mask: Mask) -> Nifti1Header | Nifti2Header:
    if mask.source.format == "nifti":
        kind = Nifti1Header if len(mask.source.header) == Nifti1Header.sizeof_hdr else Nifti2Header
        return kind(mask.source.header, check=False)
    header = Nifti1Image(mask.voxels, mask.geometry.affine).header
    header.set_xyzt_units("mm")
    return header


_ENCODERS = {"nifti": _nifti}
