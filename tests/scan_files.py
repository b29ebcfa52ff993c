"""Scan files made byte by byte, so that a test can say anything in them, lies too."""

import struct
import zlib
from typing import Any

import numpy as np
from isal import igzip
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header

RAMP = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)


def nifti_header(
    shape: tuple[int, ...] = RAMP.shape,
    dtype: str = "i2",
    affine: np.ndarray | None = None,
    version: int = 1,
    byte_order: str = "<",
    **fields: Any,
) -> bytes:
    """A header of scanner space (sform and qform), then ``fields`` over whatever that gave."""
    header = (Nifti1Header if version == 1 else Nifti2Header)(endianness=byte_order)
    header.set_data_dtype(np.dtype(dtype))
    header["dim"] = [len(shape), *shape, *[1] * (7 - len(shape))]
    header.set_sform(np.diag([2.0, 3.0, 4.0, 1.0]) if affine is None else affine, code=1)
    header.set_qform(np.diag([2.0, 3.0, 4.0, 1.0]) if affine is None else affine, code=1, strip_shears=True)
    header["magic"], header["vox_offset"] = header.single_magic, header.single_vox_offset
    header["scl_slope"], header["scl_inter"] = 1, 0
    for name, value in fields.items():
        header[name] = value
    return header.binaryblock


def nifti(voxels: np.ndarray = RAMP, extension: bytes = b"", byte_order: str = "<", **fields: Any) -> bytes:
    """A plain NIfTI file of these voxels; ``extension`` stands between header and voxels, its length not announced."""
    header = nifti_header(voxels.shape, voxels.dtype.str[1:], byte_order=byte_order, **fields)
    stored = voxels.astype(voxels.dtype.newbyteorder(byte_order))
    return header + bytes(4) + extension + stored.tobytes(order="F")


def zipped(data: bytes) -> bytes:
    return igzip.compress(data, 1, mtime=0)


def zeros_zipped(mebibytes: int) -> bytes:
    """As many MiB of zeros as gzip members, made in no time."""
    return zipped(bytes(64 * 1024**2)) * (mebibytes // 64)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(columns: int = 4, rows: int = 3, depth: int = 8, colour: int = 0, pixels: bytes | None = None) -> bytes:
    """A PNG whose header may claim what it likes; by default grey with every pixel 7."""
    lines = b"".join(b"\0" + bytes([7]) * columns for _ in range(rows)) if pixels is None else pixels
    header = struct.pack(">IIBBBBB", columns, rows, depth, colour, 0, 0, 0)
    chunks = (png_chunk(b"IHDR", header), png_chunk(b"IDAT", zlib.compress(lines)), png_chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def tiff(columns: int = 4, rows: int = 3, compression: int = 1, strip: bytes = bytes(12), **tags: int) -> bytes:
    """A little-endian grey TIFF of 8 bit with one strip; ``tags`` such as ``t262=3`` replace or add tags."""
    entries = {256: columns, 257: rows, 258: 8, 259: compression, 262: 1, 273: 8, 277: 1, 278: rows, 279: len(strip)}
    entries |= {int(name[1:]): value for name, value in tags.items()}
    fields = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(entries.items()))
    start = 8 + len(strip) + len(strip) % 2
    directory = struct.pack("<H", len(entries)) + fields + bytes(4)
    return b"II*\0" + struct.pack("<I", start) + strip + bytes(len(strip) % 2) + directory


def nrrd(*lines: str, data: bytes = bytes(60), **fields: str) -> bytes:
    """An NRRD of 5 x 4 x 3 bytes; ``fields`` replace or add fields, ``lines`` follow word for word."""
    all_fields = {"type": "uchar", "dimension": "3", "sizes": "5 4 3", "encoding": "raw"} | fields
    text = [f"{name.replace('_', ' ')}: {value}" for name, value in all_fields.items()]
    return "\n".join(["NRRD0004", *text, *lines, "", ""]).encode() + data


def mha(*lines: str, data: bytes = bytes(60), place: str = "ElementDataFile = LOCAL", **fields: str) -> bytes:
    """A MetaImage of 5 x 4 x 3 bytes; ``fields`` replace or add fields, ``lines`` follow word for word."""
    all_fields = {"ObjectType": "Image", "NDims": "3", "DimSize": "5 4 3", "ElementType": "MET_UCHAR"} | fields
    text = [f"{name} = {value}" for name, value in all_fields.items()]
    return "\n".join([*text, *lines, place, ""]).encode() + data
