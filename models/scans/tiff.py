"""TIFF images and stacks to volumes.

tifffile reads the structure, and voxels that are plain or deflate; libtiff (through ITK) reads LZW and PackBits.
Whatever else a file says (OME-XML, which may name other files, above all) is never parsed.
"""

from __future__ import annotations

import logging
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod

import numpy as np
import tifffile
from isal import isal_zlib
from numpy.typing import NDArray

from skipseg.models.errors import ScanCorrupt, ScanFormatUnknown, ScanUnusable
from skipseg.models.scans.images import image_volume
from skipseg.models.scans.itk import as_path, read_pixels
from skipseg.models.scans.limits import Limits
from skipseg.models.scans.streams import BLOCK, MAX_DEFLATE_RATIO, InflateError, ScanSource, byte_count, open_source
from skipseg.models.scans.tiff_structure import check_structure
from skipseg.models.scans.volume import Volume

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # it would log what it finds in users' files

_PLAIN = tifffile.COMPRESSION.NONE
_DEFLATE = (tifffile.COMPRESSION.ADOBE_DEFLATE, tifffile.COMPRESSION.DEFLATE)
_MOST_EXPANSION: dict[int, int] = {  # output bytes per input byte that no honest file exceeds
    tifffile.COMPRESSION.NONE: 1,
    tifffile.COMPRESSION.ADOBE_DEFLATE: MAX_DEFLATE_RATIO,
    tifffile.COMPRESSION.DEFLATE: MAX_DEFLATE_RATIO,
    tifffile.COMPRESSION.LZW: 4096,
    tifffile.COMPRESSION.PACKBITS: 64,
}
_GREY_OR_RGB = (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.MINISWHITE, tifffile.PHOTOMETRIC.RGB)
_DAMAGE = (  # what tifffile raises over broken tags; TiffFileError is a ValueError
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    OverflowError,
    ZeroDivisionError,
    EOFError,
    NotImplementedError,
    struct.error,
    zlib.error,
    InflateError,
)
_ALPHA = (tifffile.EXTRASAMPLE.ASSOCALPHA, tifffile.EXTRASAMPLE.UNASSALPHA)
_OWN_PAGE_ORDERS = ("ome", "lsm", "stk", "micromanager", "mmstack", "ndtiff", "scanimage", "fluoview", "metaseries")


def read_tiff(source: ScanSource, limits: Limits) -> Volume:
    """Read a grey or RGB TIFF of integers or floats; pages of one size are a stack along Z.

    An opaque alpha channel is dropped; ImageJ's channels become channels. Raises as ``read_scan``.
    """
    length = byte_count(source)
    limits.check_bytes(length)
    with open_source(source) as file:
        check_structure(file, length)
    with open_source(source) as file, _tiff_errors(), tifffile.TiffFile(file) as tiff:
        if not len(tiff.pages):
            raise ScanCorrupt("the TIFF has no pages; copy or export it again")
        first, pages = tiff.pages.first, len(tiff.pages)
        channels = _page_channels(tiff, pages)
        _check_page(first)
        limits.check_shape((pages // channels, *first.shape), channels)
        limits.check_shape(first.chunks)
        _check_pages(tiff, length)
        pixels = _decode(source, tiff)
        opaque = _opaque(first)
    if channels > 1:  # ImageJ's order: the channels of a slice follow each other
        rows, columns = pixels.shape[1:3]
        pixels = pixels.reshape(-1, channels, rows, columns).transpose(0, 2, 3, 1)
    return image_volume(pixels, "tiff", opaque)


def _page_channels(tiff: tifffile.TiffFile, pages: int) -> int:
    """Channels that ImageJ spread over pages; other programs' orders of pages are refused, not guessed."""
    if tiff.is_stk or (pages > 1 and any(getattr(tiff, f"is_{kind}") for kind in _OWN_PAGE_ORDERS)):
        raise ScanUnusable(
            "only its maker's software knows what the pages of this TIFF are; export it as a plain stack"
        )
    described = (tiff.imagej_metadata or {}) if tiff.is_imagej else {}
    images, channels, frames = (int(described.get(key, 1)) for key in ("images", "channels", "frames"))
    if frames > 1 or images > pages or channels < 1 or pages % channels:
        raise ScanUnusable("a stack may have slices and channels, all as pages; export it from ImageJ without frames")
    if channels > 1 and tiff.pages.first.samplesperpixel > 1:
        raise ScanUnusable("a stack has either colours or channels; this one has both; split it first")
    return channels


def _check_page(page: tifffile.TiffPage) -> None:
    if page.compression not in _MOST_EXPANSION:
        raise ScanFormatUnknown("of compressed TIFFs, deflate, LZW and PackBits are read; save this one again")
    if page.photometric not in _GREY_OR_RGB or page.axes not in ("YX", "YXS", "SYX"):
        raise ScanUnusable("a TIFF page must be grey or RGB; save it again without palette or other colour models")
    if page.dtype is None or page.dtype.kind not in "buif" or page.bitspersample not in (1, 8, 16, 32, 64):
        raise ScanUnusable("TIFF values must be integers or floats of 8 to 64 bits, or single bits; save it again")


def _pages(tiff: tifffile.TiffFile) -> Iterator[tifffile.TiffPage]:
    """Page after page, none kept: a page takes kilobytes, and there may be thousands."""
    return (page.aspage() for page in tiff.pages)


def _kind(page: tifffile.TiffPage) -> tuple[object, ...]:
    return page.shape, page.chunks, page.dtype, page.bitspersample, page.axes, page.compression, page.extrasamples


def _check_pages(tiff: tifffile.TiffFile, length: int) -> None:
    first, stored = tiff.pages.first, 0
    claimed = max(prod(first.shape), prod(first.chunks)) * first.bitspersample // 8  # a tile may exceed the image
    for page in _pages(tiff):
        if _kind(page) != _kind(first):
            raise ScanUnusable("all pages of a stack must have one size and kind; these differ; save the scan alone")
        here = sum(page.databytecounts)
        stored += here
        if stored > length or claimed > here * _MOST_EXPANSION[first.compression]:
            raise ScanCorrupt(
                f"the TIFF claims more pixels than its {length:,} bytes can hold; copy or export it again"
            )


def _decode(source: ScanSource, tiff: tifffile.TiffFile) -> NDArray[np.float32]:
    """Values as float32 (pages, rows, columns, samples)."""
    first, shape = tiff.pages.first, (len(tiff.pages), *tiff.pages.first.shape)
    if first.compression in (_PLAIN, *_DEFLATE):
        values = np.empty(shape, np.float32)
        with np.errstate(over="ignore"):
            for page, into in zip(_pages(tiff), values, strict=True):
                _check_segments(page)
                into[:] = page.asarray(maxworkers=1)
    else:
        values = _through_libtiff(source, shape, first)
    if first.axes == "SYX":
        return values.transpose(0, 2, 3, 1)
    return values if first.axes == "YXS" else values[..., None]


def _check_segments(page: tifffile.TiffPage) -> None:
    """Inflate every segment up to the size it must have and no further; tifffile itself has no bound."""
    if page.compression not in _DEFLATE:
        return
    most, file = prod(page.chunks) * np.dtype(page.dtype).itemsize, page.parent.filehandle
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        file.seek(offset)
        if _inflates_beyond(file.read(count), most):
            raise ScanCorrupt("a part of the TIFF expands beyond the size it claims; export the image again")


def _inflates_beyond(data: bytes, most: int) -> bool:
    inflater, size = isal_zlib.decompressobj(), 0
    while size <= most and not inflater.eof:
        block = inflater.decompress(data, max_length=BLOCK)
        if not block:
            return False
        size, data = size + len(block), inflater.unconsumed_tail
    return size > most


def _through_libtiff(source: ScanSource, shape: tuple[int, ...], page: tifffile.TiffPage) -> NDArray[np.float32]:
    if page.axes == "SYX" or page.is_tiled or page.bitspersample not in (8, 16, 32):
        raise ScanFormatUnknown("LZW and PackBits TIFFs are read in strips of whole pixels alone; save it with deflate")
    with as_path(source) as path:
        pixels = read_pixels(path, "TIFFImageIO", vector=page.axes == "YXS")
    if pixels.size != prod(shape):
        raise ScanUnusable("libtiff reads the pages of this TIFF otherwise than they claim; save it with deflate")
    return pixels.reshape(shape)


def _opaque(page: tifffile.TiffPage) -> float | None:
    """What a pixel's alpha is when nothing shines through, or None if the page has no alpha."""
    if not any(extra in _ALPHA for extra in page.extrasamples):
        return None
    dtype = np.dtype(page.dtype)
    return 1.0 if dtype.kind in "bf" else float(np.float32(np.iinfo(dtype).max))


@contextmanager
def _tiff_errors() -> Iterator[None]:
    try:
        yield
    except _DAMAGE as problem:
        raise ScanCorrupt("the TIFF is damaged or cut short; copy or export it again") from problem
