"""The values of a plane: decoded, rescaled, as float32 (PS3.3 C.7.6.3, C.11.1; PS3.5 annex A).

Decoders are named, not found: whichever of several is installed would otherwise decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from skipseg.models.errors import ScanCorrupt, ScanFormatUnknown, ScanUnusable
from skipseg.models.scans.dicom.codestreams import claimed
from skipseg.models.scans.dicom.parse import DAMAGE, damage_told, read_all
from skipseg.models.scans.dicom.planes import Plane
from skipseg.models.scans.streams import MAX_DEFLATE_RATIO

_JPEG = "1.2.840.10008.1.2.4."
PLUGINS = {  # by transfer syntax; of uncompressed ones pydicom needs none
    "1.2.840.10008.1.2": "",
    "1.2.840.10008.1.2.1": "",
    "1.2.840.10008.1.2.2": "",
    "1.2.840.10008.1.2.5": "pydicom",
    **{_JPEG + end: "gdcm" for end in ("50", "51", "57", "70")},
    **{_JPEG + end: "pyjpegls" for end in ("80", "81")},
    **{_JPEG + end: "pylibjpeg" for end in ("90", "91", "201", "202", "203")},
}
LOSSY = {_JPEG + end for end in ("50", "51", "81", "91", "203")}  # that may lose something, .91 and .203 need not
ALWAYS_LOSSY = {_JPEG + end for end in ("50", "51")}
QUANTITIES = ("CT", "PT", "NM")  # whose values are measured, so that MONOCHROME1 is a matter of display alone
_ROOM = 64 * 2**20  # bytes of pixels that may be claimed of however few bytes


def check_pixels(header: Dataset) -> None:
    """Refuse pixels that are no scan's, or that are stored in a way that is not read, by the header alone.

    Raises ``ScanUnusable`` and ``ScanFormatUnknown``.
    """
    with damage_told():
        syntax, colours = UID(header.file_meta.TransferSyntaxUID), str(header.get("PhotometricInterpretation", ""))
        samples, bits = int(header.get("SamplesPerPixel", 1)), int(header.BitsAllocated)
        stored, high = (
            int(header.get("BitsStored", bits)),
            int(header.get("HighBit", header.get("BitsStored", bits) - 1)),
        )
    if syntax not in PLUGINS:
        raise ScanFormatUnknown(
            "the pixels have a compression that is not read (read are none, RLE, JPEG, JPEG-LS and JPEG 2000); export "
            "the series uncompressed"
        )
    if syntax == _JPEG + "51" and stored != 8:
        raise ScanFormatUnknown(
            "JPEG with a loss is read at 8 bits alone, and these pixels have more; export the series uncompressed"
        )
    if samples != 1 or colours not in ("MONOCHROME1", "MONOCHROME2"):
        raise ScanUnusable("pixels must be grey values; these are colours or a palette, and no measured scan")
    if bits not in (8, 16, 32) or not 1 <= stored <= bits or high != stored - 1:
        raise ScanUnusable(
            f"pixels must be integers of 8, 16 or 32 bits, stored in the lowest; these have {stored} of {bits} bits up "
            f"to bit {high}; export the series again"
        )


def is_lossy(header: Dataset) -> bool:
    """Whether pixels were compressed with a loss, now or at any time before, as far as the header tells."""
    return header.file_meta.TransferSyntaxUID in ALWAYS_LOSSY or str(header.get("LossyImageCompression", "")) == "01"


def values_of(planes: Sequence[Plane]) -> Iterator[NDArray[np.float32]]:
    """Plane after plane (rows, columns), a file opened once for all of its frames that follow each other.

    Raises ``ScanCorrupt`` and ``ScanUnusable``.
    """
    for _, same in groupby(planes, key=lambda plane: id(plane.header)):
        frames = list(same)
        dataset = read_all(frames[0].part)
        with damage_told():
            _check_unchanged(dataset, frames[0].header)
            _check_claims(dataset)
        for plane in frames:
            yield _scaled(_decoded(dataset, plane.frame or 0), plane, dataset)


def _decoded(dataset: Dataset, frame: int) -> NDArray[np.generic]:
    """The stored values of a frame, signed as the header says."""
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    try:
        if syntax.is_encapsulated:
            _check_frame(dataset, frame)
        decoder, plugin = get_decoder(syntax), PLUGINS[syntax]
        pixels, _ = decoder.as_array(dataset, index=frame, raw=True, decoding_plugin=plugin)
    except DAMAGE:
        raise ScanCorrupt(
            "the pixels of a slice are damaged, cut short, or not as its header says; copy or export it again"
        ) from None
    found: NDArray[np.generic] = pixels
    return found


def _check_unchanged(now: Dataset, before: Dataset) -> None:
    names = ("SOPInstanceUID", "Rows", "Columns", "NumberOfFrames", "BitsAllocated", "BitsStored", "SamplesPerPixel")
    if any(now.get(name) != before.get(name) for name in names):
        raise ScanCorrupt("a file changed while it was read; copy it again, and read it when it is whole")


def _check_claims(dataset: Dataset) -> None:
    """Refuse pixels that are fewer than claimed, or claimed of next to nothing."""
    if "PixelData" not in dataset:
        raise ScanUnusable("pixels must be integers; these are floating point, as maps are; send the scan itself")
    frames, bits = int(dataset.get("NumberOfFrames") or 1), int(dataset.BitsAllocated)
    needed, held = int(dataset.Rows) * int(dataset.Columns) * frames * bits // 8, len(dataset.PixelData)
    if not UID(dataset.file_meta.TransferSyntaxUID).is_encapsulated:
        if not needed <= held <= needed + needed % 2:
            raise ScanCorrupt(
                f"the pixels of a slice should be {needed:,} bytes and are {held:,}; copy or export the series again"
            )
    elif needed > held * MAX_DEFLATE_RATIO + _ROOM:
        raise ScanCorrupt(f"{held:,} bytes of compressed pixels claim to be {needed:,}; export the series again")


def _check_frame(dataset: Dataset, number: int) -> None:
    """Refuse a compressed frame that would unfold to something else than its header says."""
    rows, columns, bytes_ = int(dataset.Rows), int(dataset.Columns), int(dataset.BitsAllocated) // 8
    frame = get_frame(dataset.PixelData, number, number_of_frames=int(dataset.get("NumberOfFrames") or 1))
    if dataset.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.5":
        if len(frame) > 2 * rows * columns * bytes_ + 1024:
            raise ValueError("more than run lengths need")
    elif claimed(frame) != (rows, columns, 1):
        raise ValueError("another size inside")


def _scaled(stored: NDArray[np.generic], plane: Plane, dataset: Dataset) -> NDArray[np.float32]:
    if stored.shape != plane.shape:
        raise ScanCorrupt(f"a slice of {plane.shape} pixels turned out to have {stored.shape}; export it again")
    values = stored
    if dataset.PhotometricInterpretation == "MONOCHROME1" and str(dataset.get("Modality")) not in QUANTITIES:
        values = _inverted(stored, int(dataset.BitsStored), bool(dataset.PixelRepresentation))
    if (plane.slope, plane.intercept) == (1.0, 0.0):
        return values.astype(np.float32)
    return (values.astype(np.float64) * plane.slope + plane.intercept).astype(np.float32)


def _inverted(stored: NDArray[np.generic], bits: int, signed: bool) -> NDArray[np.generic]:
    """The brightest for the darkest: the same range, the other way round."""
    total = -1 if signed else 2**bits - 1
    inverted: NDArray[np.generic] = total - stored.astype(np.int64)
    return inverted
