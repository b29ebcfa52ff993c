"""Files that a reader must refuse, with the error and the words it owes the sender: ``MALFORMED``, by name.

The readers' tests read each of them, the service's tests post each of them. ``ERROR_STATUS`` is the HTTP status that
interface and errors agree on.
"""

import bz2
import gzip
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from isal import isal_zlib
from scan_files import RAMP, mha, nifti, nifti_header, nrrd, png, tiff, zeros_zipped, zipped

from skipseg.models.errors import ScanCorrupt, ScanError, ScanFormatUnknown, ScanTooLarge, ScanUnusable

ERROR_STATUS = {ScanCorrupt: 400, ScanTooLarge: 413, ScanFormatUnknown: 415, ScanUnusable: 422}


@dataclass(frozen=True)
class Malformed:
    """A file, the class of its refusal, and words that the message must hold."""

    make: Callable[[], bytes]
    error: type[ScanError]
    words: tuple[str, ...]
    file_name: str = "scan.nii.gz"

    @cached_property
    def data(self) -> bytes:
        return self.make()


def _with(value: float, count: int = 1) -> np.ndarray:
    voxels = RAMP.astype(np.float32)
    voxels.flat[:count] = value
    return voxels


def _singular() -> np.ndarray:
    affine = np.diag([2.0, 3.0, 4.0, 1.0])
    affine[:, 1] = affine[:, 0]
    return affine


def _flipped_x(data: bytes) -> bytes:
    """The same file with its sform swapped left to right, its qform left alone."""
    return data[:280] + np.array([-2, 0, 0, 6], "<f4").tobytes() + data[296:]


def _sform_only(affine: np.ndarray) -> bytes:
    return nifti(qform_code=0, srow_x=affine[0], srow_y=affine[1], srow_z=affine[2])


def _deflated(mebibytes: int) -> bytes:
    packer = isal_zlib.compressobj(1)
    return b"".join(packer.compress(bytes(1024**2)) for _ in range(mebibytes)) + packer.flush()


def _bad_crc(data: bytes) -> bytes:
    return data[:-8] + bytes([data[-8] ^ 0xFF]) + data[-7:]


def _half(data: bytes) -> bytes:
    return data[: len(data) // 2]


_SHORT = ("ends before", "claims")
_ENORMOUS = (1300, 1300, 1300)
_GIFTI = b'<?xml version="1.0"?>\n<GIFTI><DataArray ExternalFileName="/etc/passwd"/></GIFTI>'

BOMBS = {
    "huge shape, tiny body": Malformed(
        lambda: zipped(nifti_header(_ENORMOUS, "f8") + bytes(200_000)), ScanTooLarge, ("voxels", "2,197,000,000")
    ),
    "allowed shape, tiny body": Malformed(
        lambda: zipped(nifti_header((512, 512, 1500), "f8") + bytes(200_000)), ScanCorrupt, _SHORT
    ),
    "8 GiB behind a small scan": Malformed(lambda: zipped(nifti()) + zeros_zipped(8192), ScanCorrupt, ("goes on",)),
    "8 GiB of voxels, all there": Malformed(
        lambda: zipped(nifti_header(_ENORMOUS, "f4") + bytes(4)) + zeros_zipped(8192), ScanTooLarge, ("voxels",)
    ),
    "8 GiB of header extension": Malformed(
        lambda: zipped(nifti_header(vox_offset=8e9)) + zeros_zipped(8192), ScanCorrupt, ("vox_offset",)
    ),
    "bzip2 of 2 GiB": Malformed(
        lambda: bz2.compress(nifti() + bytes(8 * 1024**2)) * 256, ScanFormatUnknown, ("bzip2", "gzip"), "scan.nii.bz2"
    ),
    "png of 50000 x 50000": Malformed(lambda: png(50_000, 50_000, pixels=b"\0"), ScanTooLarge, ("voxels",), "a.png"),
    "png of 9000 x 9000, tiny body": Malformed(
        lambda: png(9000, 9000, pixels=b"\0"), ScanCorrupt, ("claims",), "a.png"
    ),
    "tiff of 4e9 x 4e9": Malformed(
        lambda: tiff(4_000_000_000, 4_000_000_000, strip=bytes(16)), ScanTooLarge, ("voxels",), "a.tif"
    ),
    "tiff of 20000 x 20000, tiny body": Malformed(lambda: tiff(20_000, 20_000), ScanCorrupt, ("claims",), "a.tif"),
    "tiff with a strip of 1 GiB": Malformed(
        lambda: tiff(compression=8, strip=_deflated(1024)), ScanCorrupt, ("expands",), "a.tif"
    ),
    "nrrd of 1e5 x 1e5 x 1e5": Malformed(
        lambda: nrrd(sizes="100000 100000 100000"), ScanTooLarge, ("voxels",), "a.nrrd"
    ),
    "nrrd of 700 x 700 x 700, tiny body": Malformed(
        lambda: nrrd(sizes="700 700 700", encoding="gzip", data=zipped(bytes(60))), ScanCorrupt, _SHORT, "a.nrrd"
    ),
    "mha of 1e5 x 1e5 x 1e5": Malformed(
        lambda: mha(DimSize="100000 100000 100000"), ScanTooLarge, ("voxels",), "a.mha"
    ),
    "mha of 700 x 700 x 700, tiny body": Malformed(lambda: mha(DimSize="700 700 700"), ScanCorrupt, _SHORT, "a.mha"),
    "mha that claims a TB compressed": Malformed(
        lambda: mha(CompressedData="True", CompressedDataSize="1000000000000"), ScanCorrupt, ("claims",), "a.mha"
    ),
}

NIFTI = {
    "no dimensions": Malformed(lambda: nifti(dim=[0] * 8), ScanCorrupt, ("1 to 7 dimensions", "0")),
    "nine dimensions": Malformed(lambda: nifti(dim=[9, *[1] * 7]), ScanCorrupt, ("1 to 7 dimensions", "9")),
    "a zero dimension": Malformed(lambda: nifti(dim=[3, 4, 0, 6, 1, 1, 1, 1]), ScanCorrupt, ("at least one voxel",)),
    "a negative dimension": Malformed(lambda: nifti(dim=[3, 4, -5, 6, 1, 1, 1, 1]), ScanCorrupt, ("-5",)),
    "a single row": Malformed(lambda: nifti(RAMP.ravel()), ScanUnusable, ("one row",)),
    "time and vectors": Malformed(lambda: nifti(np.zeros((4, 5, 6, 2, 3), "i2")), ScanUnusable, ("channels", "split")),
    "65 channels": Malformed(lambda: nifti(np.zeros((4, 5, 6, 65), "i2")), ScanTooLarge, ("64 channels", "65")),
    "dimensions that wrap 32 bits": Malformed(
        lambda: nifti(version=2, dim=[3, 2**31, 2**31, 4, 1, 1, 1, 1]), ScanTooLarge, ("voxels",)
    ),
    "dimensions that wrap 64 bits": Malformed(
        lambda: nifti(version=2, dim=[3, 2**62, 4, 1, 1, 1, 1, 1]), ScanTooLarge, ("voxels",)
    ),
    "complex voxels": Malformed(lambda: nifti(RAMP.astype("c8")), ScanUnusable, ("complex",)),
    "RGB voxels": Malformed(lambda: nifti(datatype=128, bitpix=24), ScanUnusable, ("RGB",)),
    "128-bit floats": Malformed(lambda: nifti(datatype=1536, bitpix=128), ScanUnusable, ("128-bit",)),
    "single bits": Malformed(lambda: nifti(datatype=1, bitpix=1), ScanUnusable, ("bits",)),
    "unknown voxel type": Malformed(lambda: nifti(datatype=77), ScanCorrupt, ("77",)),
    "one NaN": Malformed(lambda: zipped(nifti(_with(np.nan))), ScanUnusable, ("1 of 120", "not finite")),
    "all infinite": Malformed(lambda: nifti(_with(np.inf, 120)), ScanUnusable, ("120 of 120", "not finite")),
    "beyond float32": Malformed(
        lambda: nifti(_with(0).astype("f8") + 1e300), ScanUnusable, ("120 of 120", "not finite")
    ),
    "slope infinite": Malformed(lambda: nifti(scl_slope=np.inf), ScanUnusable, ("slope", "finite")),
    "slope 1e38": Malformed(lambda: nifti(scl_slope=1e38), ScanUnusable, ("not finite",)),
    "intercept NaN": Malformed(lambda: nifti(scl_inter=np.nan), ScanUnusable, ("intercept", "finite")),
    "affine with NaN": Malformed(lambda: nifti(srow_y=[0, np.nan, 0, 0]), ScanUnusable, ("affine", "finite")),
    "an axis of no length": Malformed(lambda: _sform_only(np.diag([0.0, 3, 4, 1])), ScanUnusable, ("spacing",)),
    "two axes in one direction": Malformed(lambda: _sform_only(_singular()), ScanUnusable, ("singular",)),
    "spacing 0": Malformed(lambda: nifti(sform_code=0, pixdim=[1, 0, 3, 4, 1, 1, 1, 1]), ScanUnusable, ("spacing",)),
    "spacing of 1e6 mm": Malformed(lambda: _sform_only(np.diag([1e6, 3, 4, 1])), ScanUnusable, ("spacing", "1000 mm")),
    "spacing of 4000 m": Malformed(lambda: nifti(xyzt_units=1), ScanUnusable, ("spacing", "1000 mm")),
    "bad quaternion": Malformed(lambda: nifti(sform_code=0, quatern_b=2), ScanUnusable, ("quaternion", "sform")),
    "bad qfac": Malformed(
        lambda: nifti(sform_code=0, pixdim=[5, 2, 3, 4, 1, 1, 1, 1]), ScanUnusable, ("qfac", "sform")
    ),
    "qform against sform": Malformed(lambda: _flipped_x(nifti()), ScanUnusable, ("sform and qform", "mm apart")),
    "voxels from byte 0": Malformed(lambda: nifti(vox_offset=0), ScanCorrupt, ("vox_offset", "352")),
    "voxels from a negative byte": Malformed(lambda: nifti(vox_offset=-352), ScanCorrupt, ("vox_offset", "-352")),
    "voxels from byte NaN": Malformed(lambda: nifti(vox_offset=np.nan), ScanCorrupt, ("vox_offset", "nan")),
    "voxels from byte 1e30": Malformed(lambda: nifti(vox_offset=1e30), ScanCorrupt, ("vox_offset", "1e+30")),
    "voxels from byte 352.5": Malformed(lambda: nifti(vox_offset=352.5), ScanCorrupt, ("vox_offset", "352.5")),
    "header without its image": Malformed(
        lambda: nifti(magic=b"ni1"), ScanFormatUnknown, ("second file", ".nii"), "scan.hdr"
    ),
    "wrong magic": Malformed(lambda: nifti(magic=b"xyz"), ScanFormatUnknown, ("magic", "Analyze")),
    "text-mode transfer": Malformed(
        lambda: nifti(version=2).replace(b"\r\n\x1a\n", b"\n\x1a\n\0"), ScanCorrupt, ("binary mode",)
    ),
    "half a header": Malformed(lambda: nifti()[:200], ScanCorrupt, ("348", "200")),
    "truncated": Malformed(lambda: nifti()[:-1], ScanCorrupt, _SHORT, "scan.nii"),
    "truncated gzip": Malformed(lambda: _half(zipped(nifti(np.arange(9**3).reshape(9, 9, 9)))), ScanCorrupt, ("cut",)),
    "gzip without its checksum": Malformed(lambda: zipped(nifti())[:-8], ScanCorrupt, ("gzip", "cut short")),
    "bad CRC": Malformed(lambda: _bad_crc(zipped(nifti())), ScanCorrupt, ("gzip", "damaged")),
    "bad deflate data": Malformed(lambda: gzip.compress(nifti())[:40] + bytes([255] * 400), ScanCorrupt, ("gzip",)),
    "junk behind the gzip": Malformed(lambda: zipped(nifti()) + b"junk", ScanCorrupt, ("gzip", "something else")),
    "junk behind the voxels": Malformed(lambda: nifti() + b"junk", ScanCorrupt, ("goes on",), "scan.nii"),
    "junk behind the voxels, inside the gzip": Malformed(lambda: zipped(nifti() + b"j"), ScanCorrupt, ("goes on",)),
}

OTHERS = {
    "empty": Malformed(lambda: b"", ScanCorrupt, ("empty",)),
    "one byte": Malformed(lambda: b"\x1f", ScanFormatUnknown, ("convert",)),
    "text": Malformed(lambda: b"hello, this is my scan", ScanFormatUnknown, ("nifti", "convert")),
    "gzip of text": Malformed(lambda: zipped(b"hello, this is my scan"), ScanFormatUnknown, ("gzip", "NIfTI")),
    "empty gzip": Malformed(lambda: zipped(b""), ScanFormatUnknown, ("gzip", "NIfTI")),
    "GIFTI called NIfTI": Malformed(lambda: _GIFTI, ScanFormatUnknown, ("XML", "NIfTI")),
    "bzip2 called gzip": Malformed(lambda: bz2.compress(nifti()), ScanFormatUnknown, ("bzip2", "gzip")),
    "zip called gzip": Malformed(lambda: b"PK\3\4" + bytes(100), ScanCorrupt, ("zip",)),
    "JPEG called PNG": Malformed(lambda: b"\xff\xd8\xff\xe0" + bytes(99), ScanFormatUnknown, ("JPEG", "PNG"), "a.png"),
    "DICOM called NIfTI": Malformed(lambda: bytes(128) + b"DICM" + bytes(99), ScanCorrupt, ("DICOM",)),
    "png without header": Malformed(lambda: png()[:20], ScanCorrupt, ("PNG", "header"), "a.png"),
    "png of 0 pixels": Malformed(lambda: png(0, 3), ScanCorrupt, ("0 x 3",), "a.png"),
    "png cut short": Malformed(lambda: png()[:-20], ScanCorrupt, ("PNG", "cut short"), "a.png"),
    "png with a bad checksum": Malformed(
        lambda: png()[:-13] + b"\0" + png()[-12:], ScanCorrupt, ("PNG", "damaged"), "a.png"
    ),
    "png of colour type 5": Malformed(lambda: png(colour=5), ScanCorrupt, ("colour type 5",), "a.png"),
    "png of 48 bit": Malformed(
        lambda: png(4, 3, 16, 2, bytes(3 * (1 + 24))), ScanUnusable, ("16 bit", "TIFF"), "a.png"
    ),
    "png half transparent": Malformed(
        lambda: png(2, 1, 8, 6, b"\0" + bytes([9, 9, 9, 255, 9, 9, 9, 128])), ScanUnusable, ("transparent",), "a.png"
    ),
    "tiff cut short": Malformed(lambda: tiff()[:-30], ScanCorrupt, ("TIFF",), "a.tif"),
    "tiff without pages": Malformed(lambda: b"II*\0" + bytes(4), ScanCorrupt, ("TIFF",), "a.tif"),
    "tiff of JPEG": Malformed(lambda: tiff(compression=7), ScanFormatUnknown, ("deflate", "LZW"), "a.tif"),
    "tiff of 12 bit": Malformed(lambda: tiff(t258=12), ScanUnusable, ("8 to 64 bits",), "a.tif"),
    "tiff with a palette": Malformed(lambda: tiff(t262=3), ScanUnusable, ("palette",), "a.tif"),
    "tiff of damaged deflate": Malformed(lambda: tiff(compression=8, strip=b"x" * 12), ScanCorrupt, ("TIFF",), "a.tif"),
    "nrrd that names another file": Malformed(
        lambda: nrrd("data file: /etc/passwd", data=b""), ScanFormatUnknown, ("another file", "one .nrrd"), "a.nrrd"
    ),
    "nrrd that names another file after old line ends": Malformed(
        lambda: nrrd("content: x\r\rdata file: /etc/passwd"), ScanFormatUnknown, ("another file",), "a.nrrd"
    ),
    "nrrd of text": Malformed(
        lambda: nrrd(encoding="ascii", data=b"1 " * 60), ScanFormatUnknown, ("raw or gzip",), "a.nrrd"
    ),
    "nrrd cut short": Malformed(lambda: nrrd(data=bytes(59)), ScanCorrupt, _SHORT, "a.nrrd"),
    "nrrd of 0 voxels": Malformed(lambda: nrrd(sizes="5 0 3"), ScanCorrupt, ("header",), "a.nrrd"),
    "nrrd without an end": Malformed(lambda: nrrd().split(b"\n\n")[0], ScanCorrupt, ("no end",), "a.nrrd"),
    "nrrd of four dimensions": Malformed(
        lambda: nrrd(dimension="4", sizes="5 4 3 2", data=bytes(120)), ScanUnusable, ("2 or 3 dimensions",), "a.nrrd"
    ),
    "mha that names another file": Malformed(
        lambda: mha(place="ElementDataFile = /etc/passwd"), ScanFormatUnknown, ("another file", "one .mha"), "a.mha"
    ),
    "mha that lists other files": Malformed(
        lambda: mha(place="ElementDataFile = LIST\n/etc/passwd"), ScanFormatUnknown, ("another file",), "a.mha"
    ),
    "mha that names another file first": Malformed(
        lambda: mha("ElementDataFile = /etc/passwd"), ScanFormatUnknown, ("another file",), "a.mha"
    ),
    "mha that names another file with a colon": Malformed(
        lambda: mha("ElementDataFile : /etc/passwd"), ScanFormatUnknown, ("another file",), "a.mha"
    ),
    "mha whose short line hides another file": Malformed(
        lambda: mha("Offset = 1", data=b"ElementDataFile = /etc/passwd\n"),
        ScanCorrupt,
        ("Offset", "3 numbers"),
        "a.mha",
    ),
    "mha whose empty line hides another file": Malformed(
        lambda: mha("Color =", data=b"ElementDataFile = /etc/passwd\n"), ScanCorrupt, _SHORT, "a.mha"
    ),
    "nrrd that names another file like a key": Malformed(
        lambda: nrrd("data file: /etc/a:=b"), ScanFormatUnknown, ("another file",), "a.nrrd"
    ),
    "mha of text": Malformed(lambda: mha(BinaryData="False"), ScanFormatUnknown, ("binary",), "a.mha"),
    "mha cut short": Malformed(lambda: mha(data=bytes(59)), ScanCorrupt, _SHORT, "a.mha"),
    "mha with a size missing": Malformed(lambda: mha(DimSize="5 4"), ScanCorrupt, ("DimSize", "3 counts"), "a.mha"),
    "mha of negative size": Malformed(lambda: mha(DimSize="5 -4 3"), ScanCorrupt, ("DimSize", "3 counts"), "a.mha"),
    "mha of spacing 0": Malformed(lambda: mha(ElementSpacing="0 1 1"), ScanUnusable, ("spacing",), "a.mha"),
    "mha with a singular direction": Malformed(
        lambda: mha(TransformMatrix="1 0 0 1 0 0 0 0 1"), ScanUnusable, ("singular",), "a.mha"
    ),
}

MALFORMED = BOMBS | NIFTI | OTHERS
