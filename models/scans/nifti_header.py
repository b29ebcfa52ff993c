"""What a NIfTI header claims, checked with Python integers before anything is allocated.

NIfTI-1: https://nifti.nimh.nih.gov/nifti-1, NIfTI-2: https://nifti.nimh.nih.gov/nifti-2. nibabel parses the 348 or 540
bytes; its own checks and repairs stay off, because they log and mend where a service has to refuse.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from math import isfinite, prod
from typing import BinaryIO

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from skipseg.models.errors import ScanCorrupt, ScanFormatUnknown, ScanUnusable
from skipseg.models.scans.geometry import Geometry, Shape
from skipseg.models.scans.limits import Limits

AnyHeader = Nifti1Header | Nifti2Header

_LAYOUTS: dict[bytes, tuple[type[AnyHeader], str]] = {  # by the first four bytes: the header's own length
    (348).to_bytes(4, "little"): (Nifti1Header, "<"),
    (348).to_bytes(4, "big"): (Nifti1Header, ">"),
    (540).to_bytes(4, "little"): (Nifti2Header, "<"),
    (540).to_bytes(4, "big"): (Nifti2Header, ">"),
}
_VOXELS = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8"}
_REFUSED_VOXELS = {
    1: "single bits",
    32: "complex numbers",
    128: "RGB colours",
    1536: "128-bit floats",
    1792: "complex numbers",
    2048: "complex numbers",
    2304: "RGBA colours",
}
_MOST_EXTENSION_BYTES = 64 * 1024**2
_MM_PER_UNIT = {1: 1e3, 3: 1e-3}  # xyzt_units: 1 metres, 3 micrometres; 2 and unknown are millimetres
_GRID_FIELDS = (  # what places the voxels; every other field, above all free text, stays behind
    "dim_info",
    "pixdim",
    "xyzt_units",
    "qform_code",
    "sform_code",
    "quatern_b",
    "quatern_c",
    "quatern_d",
    "qoffset_x",
    "qoffset_y",
    "qoffset_z",
    "srow_x",
    "srow_y",
    "srow_z",
)


@dataclass(frozen=True, eq=False)
class NiftiClaims:
    """The checked claims of one header: how to read the voxels and where they lie."""

    geometry: Geometry
    channels: int
    dtype: np.dtype[np.generic]  # as stored, with its byte order
    slope: float
    inter: float
    gap: int  # bytes between the header and the voxels: extensions, never interpreted
    grid: bytes  # the header of a mask on this grid, in native byte order

    @property
    def values(self) -> int:
        """Voxels of all channels together."""
        return prod(self.geometry.shape) * self.channels

    @property
    def data_bytes(self) -> int:
        return self.values * self.dtype.itemsize


def recognises(head: bytes) -> bool:
    """Whether a file that starts with ``head`` carries a NIfTI (or Analyze) header."""
    return head[:4] in _LAYOUTS


def read_claims(stream: BinaryIO, limits: Limits) -> NiftiClaims:
    """Read and check the header; the stream stands right behind it afterwards.

    Raises ``ScanCorrupt``, ``ScanFormatUnknown``, ``ScanTooLarge`` or ``ScanUnusable``.
    """
    header = _parse(stream)
    shape, channels = _grid_shape(header)
    limits.check_shape(shape, channels)
    slope, inter = _scaling(header)
    return NiftiClaims(
        geometry=Geometry(shape, _affine(header, shape)),
        channels=channels,
        dtype=_dtype(header),
        slope=slope,
        inter=inter,
        gap=_gap(header),
        grid=_grid_header(header, shape),
    )


def _parse(stream: BinaryIO) -> AnyHeader:
    head = stream.read(4)
    kind, byte_order = _LAYOUTS.get(head, (None, ""))
    if kind is None:
        raise ScanFormatUnknown("the file does not start with a NIfTI-1 or NIfTI-2 header")
    block = head + stream.read(kind.sizeof_hdr - len(head))
    if len(block) < kind.sizeof_hdr:
        raise ScanCorrupt(f"the NIfTI header is {kind.sizeof_hdr} bytes long, but the file ends after {len(block)}")
    header = kind(block, endianness=byte_order, check=False)
    _check_magic(header)
    return header


def _check_magic(header: AnyHeader) -> None:
    magic = bytes(header["magic"].tobytes())
    if magic.startswith(header.single_magic):
        if isinstance(header, Nifti2Header) and bytes(header["eol_check"].tobytes()) != b"\r\n\x1a\n":
            raise ScanCorrupt("the NIfTI-2 header was changed by a text-mode transfer; copy the file in binary mode")
        return
    if magic.startswith(header.pair_magic):
        raise ScanFormatUnknown(
            "this header keeps its voxels in a second file (.img); convert the pair to one .nii file"
        )
    raise ScanFormatUnknown("the header has no NIfTI magic (n+1 or n+2): Analyze 7.5 or damaged; convert it to .nii")


def _grid_shape(header: AnyHeader) -> tuple[Shape, int]:
    axes = int(header["dim"][0])
    if not 1 <= axes <= 7:
        raise ScanCorrupt(f"a NIfTI file has 1 to 7 dimensions; this header claims {axes}")
    dims = [int(n) for n in header["dim"][1 : axes + 1]]
    if min(dims) < 1:
        raise ScanCorrupt(f"every dimension must hold at least one voxel; this header claims {dims}")
    if axes == 1:
        raise ScanUnusable(f"a scan has 2 or 3 spatial dimensions; this file is one row of {dims[0]} values")
    x, y, z, *rest = [*dims, 1] if axes == 2 else dims
    channels = [n for n in rest if n > 1]
    if len(channels) > 1:
        raise ScanUnusable(
            f"at most one dimension beyond space is read, as channels; this scan has {rest}; split it first"
        )
    return (x, y, z), prod(channels)


def _dtype(header: AnyHeader) -> np.dtype[np.generic]:
    code = int(header["datatype"])
    if code in _VOXELS:
        stored: np.dtype[np.generic] = np.dtype(header.endianness + _VOXELS[code])
        return stored
    if code in _REFUSED_VOXELS:
        raise ScanUnusable(f"voxels must be integers or floats of at most 64 bits; these are {_REFUSED_VOXELS[code]}")
    raise ScanCorrupt(f"the header names voxel type {code}, which NIfTI does not know")


def _scaling(header: AnyHeader) -> tuple[float, float]:
    """Slope and intercept; a slope of 0 or NaN means that none is set."""
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or slope != slope:
        return 1.0, 0.0
    if not (isfinite(slope) and isfinite(inter)):
        raise ScanUnusable(f"slope and intercept must be finite; got {slope} and {inter}; export the scan again")
    return slope, inter


def _gap(header: AnyHeader) -> int:
    """Bytes between header and voxels; the smallest legal offset leaves 4 for the extension flag."""
    offset, least = float(header["vox_offset"]), header.sizeof_hdr + 4
    if not (least <= offset <= least + _MOST_EXTENSION_BYTES and offset == int(offset)):
        raise ScanCorrupt(f"voxels must start at a whole byte from {least} on (vox_offset); the header says {offset:g}")
    return int(offset) - int(header.sizeof_hdr)


def _affine(header: AnyHeader, shape: Shape) -> NDArray[np.float64]:
    """sform before qform before the spacing alone (methods 3, 2, 1 of the standard), in mm.

    Two forms of one code claim the same space, so a gross contradiction between them may be a left-right swap.
    """
    sform = header.get_sform().astype(np.float64) if header["sform_code"] > 0 else None
    qform = _qform(header) if header["qform_code"] > 0 else None
    if sform is not None:
        if qform is not None and header["sform_code"] == header["qform_code"]:
            _check_agreement(shape, sform, qform)
        affine = sform
    elif header["qform_code"] > 0:
        if qform is None:
            raise ScanUnusable(
                "the qform (quaternion, qfac or spacing) is not valid and there is no sform; export it again"
            )
        affine = qform
    else:
        affine = _mended(header).get_base_affine()
    scale = _MM_PER_UNIT.get(int(header["xyzt_units"]) & 7, 1.0)
    return np.vstack([affine[:3] * scale, affine[3:]]) if scale != 1.0 else affine


def _qform(header: AnyHeader) -> NDArray[np.float64] | None:
    try:
        return np.asarray(_mended(header).get_qform(), dtype=np.float64)
    except (HeaderDataError, ValueError):
        return None


def _mended(header: AnyHeader) -> AnyHeader:
    """A copy read as the reference code reads it: qfac 0 is 1, spacings are positive, an absent axis is 1 mm thick.

    So are voxels of which the header gives no spacing at all (zeros), as in every other format without one.
    """
    copy: AnyHeader = header.copy()
    pixdim = copy["pixdim"]
    pixdim[1:4] = np.abs(pixdim[1:4])
    if pixdim[0] == 0:
        pixdim[0] = 1
    if not pixdim[1:4].any():
        pixdim[1:4] = 1
    if header["dim"][0] == 2 and not pixdim[3] > 0:
        pixdim[3] = 1
    return copy


def _check_agreement(shape: Shape, sform: NDArray[np.float64], qform: NDArray[np.float64]) -> None:
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape], indexing="ij")).reshape(3, 8)
    if not (np.isfinite(sform).all() and np.isfinite(qform).all()):
        return
    difference = sform - qform
    apart = np.linalg.norm(difference[:3, :3] @ corners + difference[:3, 3:], axis=0).max()
    diagonal = np.linalg.norm(sform[:3, :3] @ (np.array(shape) - 1))
    if apart > max(1.0, 0.05 * diagonal):
        raise ScanUnusable(
            f"sform and qform claim the same space but put a corner of the scan {apart:.1f} mm apart; "
            "export the scan again, or clear the wrong one"
        )


def _grid_header(header: AnyHeader, shape: Shape) -> bytes:
    """The header of a mask on this scan's grid: 2D stays 2D, channels and all text are gone."""
    grid = type(header)(endianness="<" if sys.byteorder == "little" else ">")
    axes = min(int(header["dim"][0]), 3)
    grid["dim"] = [axes, *shape, 1, 1, 1, 1]
    for field in _GRID_FIELDS:
        grid[field] = header[field]
    if header["dim"][0] > 3:  # time or channel axes are gone, and so are their units
        grid["pixdim"][4:] = 1
        grid["xyzt_units"] = header["xyzt_units"] & 7
    return bytes(grid.binaryblock)
