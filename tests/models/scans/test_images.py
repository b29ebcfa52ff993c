"""PNG images become volumes of columns, rows and one slice."""

import io
import zlib

import numpy as np
import pytest
from PIL import Image
from scan_files import png, png_chunk

from skipseg.models.errors import ScanUnusable
from skipseg.models.scans.reader import read_scan

RNG = np.random.default_rng(0)


def saved(image: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


def rows_of(volume) -> np.ndarray:
    """Back to rows x columns x channels."""
    return volume.voxels[..., 0].transpose(2, 1, 0)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
def test_columns_are_x_and_rows_are_y(shape: tuple[int, ...]) -> None:
    pixels = RNG.integers(0, 256, shape, dtype=np.uint8)
    volume = read_scan(saved(Image.fromarray(pixels)))
    assert volume.geometry.shape == (7, 5, 1)
    assert volume.geometry.spacing == (1, 1, 1)
    assert np.array_equal(rows_of(volume), pixels.reshape(5, 7, -1))


def test_16_bit_grey_keeps_all_bits() -> None:
    pixels = RNG.integers(0, 65536, (5, 7), dtype=np.uint16)
    assert np.array_equal(rows_of(read_scan(saved(Image.fromarray(pixels))))[..., 0], pixels)


def test_an_opaque_alpha_channel_is_dropped() -> None:
    pixels = RNG.integers(0, 256, (5, 7, 4), dtype=np.uint8)
    pixels[..., 3] = 255
    assert np.array_equal(rows_of(read_scan(saved(Image.fromarray(pixels)))), pixels[..., :3])
    grey = pixels[..., [0, 3]]
    assert np.array_equal(rows_of(read_scan(saved(Image.fromarray(grey)))), grey[..., :1])


def test_an_evenly_faint_image_is_refused() -> None:
    pixels = np.full((5, 7, 4), 128, np.uint8)
    with pytest.raises(ScanUnusable, match="transparent"):
        read_scan(saved(Image.fromarray(pixels)))


def test_a_palette_becomes_its_colours() -> None:
    pixels = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    image = Image.fromarray(pixels).convert("P", palette=Image.Palette.ADAPTIVE)
    expected = np.asarray(image.convert("RGB"))
    assert np.array_equal(rows_of(read_scan(saved(image))), expected)
    with pytest.raises(ScanUnusable, match="transparent"):
        read_scan(saved(image, transparency=int(image.getpixel((0, 0)))))


def test_black_and_white_is_one_and_zero() -> None:
    pixels = np.eye(5, dtype=bool)
    assert np.array_equal(rows_of(read_scan(saved(Image.fromarray(pixels))))[..., 0], pixels)


def test_an_animation_is_refused() -> None:
    frames = [Image.new("L", (4, 3), value) for value in (1, 2)]
    with pytest.raises(ScanUnusable, match="animation of 2"):
        read_scan(saved(frames[0], save_all=True, append_images=frames[1:]))


def test_a_text_that_expands_is_left_alone_or_refused() -> None:
    text = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(50 * 1024**2)))
    data = png()
    with pytest.raises(Exception, match="PNG is damaged"):
        read_scan(data[:33] + text + data[33:])
