"""PNG images to 2D volumes, and what all images share: a grid of 1 mm, since they know no millimetres.

An array of rows becomes voxels (channels, X = columns, Y = rows, 1). Gamma, colour profiles and resolution tags are
left alone: values are taken as stored.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from skipseg.models.errors import ScanCorrupt, ScanTooLarge, ScanUnusable
from skipseg.models.scans.finite import require_finite
from skipseg.models.scans.geometry import Geometry
from skipseg.models.scans.limits import Limits
from skipseg.models.scans.streams import MAX_DEFLATE_RATIO, ScanSource, byte_count, open_source, starts_with
from skipseg.models.scans.volume import Source, Volume

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type: grey, RGB, palette, grey and alpha, RGB and alpha


def is_png(head: bytes) -> bool:
    return head.startswith(_SIGNATURE)


def read_png(source: ScanSource, limits: Limits) -> Volume:
    """Read a grey (8 or 16 bit), RGB or palette PNG; palettes become RGB and an opaque alpha channel is dropped.

    Raises ``ScanCorrupt``, ``ScanTooLarge`` or ``ScanUnusable``.
    """
    length = byte_count(source)
    limits.check_bytes(length)
    _check_header(starts_with(source, 33), length, limits)
    with open_source(source) as file, _pil_errors():
        Image.open(file, formats=["PNG"]).verify()  # checksums of all chunks; loading alone skips those of the pixels
    with open_source(source) as file, _pil_errors():
        image = Image.open(file, formats=["PNG"])
        if (frames := getattr(image, "n_frames", 1)) > 1:
            raise ScanUnusable(f"an image has one frame; this one is an animation of {frames}; save one of them")
        pixels = np.asarray(_plain(image))
    rows, columns = pixels.shape[:2]
    opaque = 255 if pixels.shape[2:] in ((2,), (4,)) else None
    return image_volume(pixels.reshape(1, rows, columns, -1), "png", opaque)


def image_volume(pixels: NDArray[np.generic], format: str, opaque: float | None) -> Volume:
    """The volume of pages x rows x columns x channels; the last channel is alpha if ``opaque`` tells its full value.

    Raises ``ScanUnusable`` for values that are not finite and for pixels that are not opaque.
    """
    if opaque is not None:
        if not (pixels[..., -1] == opaque).all():
            raise ScanUnusable("the image is partly transparent, so its values are not its own; flatten it first")
        pixels = pixels[..., :-1]
    voxels = pixels.transpose(3, 2, 1, 0).astype(np.float32, copy=False)
    require_finite(voxels)
    _, x, y, z = voxels.shape
    return Volume(voxels, Geometry((x, y, z), np.eye(4)), Source(format))


def _check_header(head: bytes, length: int, limits: Limits) -> None:
    """Look at the claims of the first chunk (PNG 11.2.2) before Pillow does."""
    if len(head) < 33 or head[12:16] != b"IHDR":
        raise ScanCorrupt("the PNG ends before or without its header; copy or upload it again")
    columns, rows = int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")
    depth, samples = head[24], _SAMPLES.get(head[25], 0)
    if not (columns and rows and samples):
        raise ScanCorrupt(f"the PNG header claims {columns} x {rows} pixels of colour type {head[25]}; export it again")
    limits.check_shape((columns, rows), samples)
    if columns * rows > (Image.MAX_IMAGE_PIXELS or limits.voxels):
        raise ScanTooLarge(f"a PNG may have at most {Image.MAX_IMAGE_PIXELS:,} pixels; this one has {columns} x {rows}")
    if prod((columns, rows, samples, depth)) // 8 > length * MAX_DEFLATE_RATIO:
        raise ScanCorrupt(f"the PNG claims {columns} x {rows} pixels, more than {length:,} bytes can hold")
    if depth == 16 and samples > 1:
        raise ScanUnusable("colour PNGs of 16 bit lose half their bits when read; save the image as TIFF")


def _plain(image: Image.Image) -> Image.Image:
    if image.mode in ("P", "PA"):
        return image.convert("RGBA" if "transparency" in image.info or image.mode == "PA" else "RGB")
    return image


@contextmanager
def _pil_errors() -> Iterator[None]:
    try:
        yield
    except UnidentifiedImageError:
        raise ScanCorrupt("the PNG header is damaged; copy or upload the file again") from None
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error) as problem:
        raise ScanCorrupt(f"the PNG is damaged or cut short ({problem}); copy or upload it again") from problem
