"""TIFF images, stacks and channels, of every compression that is read."""

import io

import numpy as np
import pytest
import tifffile
from PIL import Image
from scan_files import tiff

from skipseg.models.errors import ScanCorrupt, ScanFormatUnknown, ScanTooLarge, ScanUnusable
from skipseg.models.scans.reader import read_scan

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 200, (6, 9)).astype(np.uint8)


def saved(pixels: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **{"photometric": "minisblack", **options})
    return file.getvalue()


def by_pillow(pixels: np.ndarray, compression: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "TIFF", compression=compression)
    return file.getvalue()


def pages_of(volume) -> np.ndarray:
    """Back to pages x rows x columns x channels."""
    return volume.voxels.transpose(3, 2, 1, 0)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "f2", "f4", "f8", ">u2", "?"])
def test_every_kind_of_number_is_read(dtype: str, compression: str | None) -> None:
    pixels = GREY.astype(dtype)
    byte_order = ">" if dtype.startswith(">") else "<"
    volume = read_scan(saved(pixels, compression=compression, byteorder=byte_order))
    assert volume.geometry.shape == (9, 6, 1)
    assert np.array_equal(pages_of(volume)[0, :, :, 0], pixels.astype(np.float32))


@pytest.mark.parametrize(
    "options", [{}, {"tile": (16, 16)}, {"rowsperstrip": 2}, {"bigtiff": True}, {"predictor": True}]
)
def test_strips_tiles_and_predictors_make_no_difference(options: dict[str, object]) -> None:
    pixels = RNG.integers(0, 60_000, (70, 50)).astype(np.uint16)
    volume = read_scan(saved(pixels, compression="zlib", **options))
    assert np.array_equal(pages_of(volume)[0, :, :, 0], pixels)


@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_colours_become_channels(planes: str) -> None:
    pixels = RNG.integers(0, 256, (6, 9, 3)).astype(np.uint8)
    stored = pixels if planes == "contig" else np.ascontiguousarray(pixels.transpose(2, 0, 1))
    volume = read_scan(saved(stored, photometric="rgb", planarconfig=planes))
    assert np.array_equal(pages_of(volume)[0], pixels)


def test_an_opaque_alpha_channel_is_dropped_and_a_faint_one_refused() -> None:
    pixels = np.dstack([GREY, GREY, GREY, np.full_like(GREY, 255)])
    options = {"photometric": "rgb", "extrasamples": ["unassalpha"]}
    assert read_scan(saved(pixels, **options)).channels == 3
    pixels[0, 0, 3] = 9
    with pytest.raises(ScanUnusable, match="transparent"):
        read_scan(saved(pixels, **options))


def test_pages_of_one_size_are_a_stack() -> None:
    pixels = RNG.integers(0, 256, (5, 6, 9)).astype(np.uint8)
    volume = read_scan(saved(pixels))
    assert volume.geometry.shape == (9, 6, 5)
    assert np.array_equal(pages_of(volume)[..., 0], pixels)


def test_pages_of_different_size_are_refused() -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(GREY, photometric="minisblack")
        writer.write(GREY[:3], photometric="minisblack")
    with pytest.raises(ScanUnusable, match="one size"):
        read_scan(file.getvalue())


def test_the_channels_of_imagej_are_channels() -> None:
    pixels = RNG.integers(0, 256, (5, 2, 6, 9)).astype(np.uint8)
    volume = read_scan(saved(pixels, imagej=True, metadata={"axes": "ZCYX"}))
    assert (volume.channels, volume.geometry.shape) == (2, (9, 6, 5))
    assert np.array_equal(pages_of(volume), pixels.transpose(0, 2, 3, 1))


def test_frames_of_imagej_are_refused() -> None:
    pixels = RNG.integers(0, 256, (5, 6, 9)).astype(np.uint8)
    with pytest.raises(ScanUnusable, match="frames"):
        read_scan(saved(pixels, imagej=True, metadata={"axes": "TYX"}))


def test_pages_whose_meaning_is_in_xml_are_refused() -> None:
    with pytest.raises(ScanUnusable, match="plain stack"):
        read_scan(saved(np.stack([GREY, GREY, GREY]), ome=True))
    assert np.array_equal(pages_of(read_scan(saved(GREY, ome=True)))[0, :, :, 0], GREY)


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_adobe_deflate"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4", "rgb"])
def test_compressions_of_other_programs_are_read(dtype: str, compression: str) -> None:
    pixels = np.dstack([GREY, GREY + 1, GREY + 2]) if dtype == "rgb" else GREY.astype(dtype)
    volume = read_scan(by_pillow(pixels, compression))
    assert np.array_equal(pages_of(volume)[0], pixels.reshape(6, 9, -1))


def test_tiles_of_lzw_are_refused_rather_than_read_at_8_bit() -> None:
    data = saved(GREY.astype(np.uint16), compression="zlib", tile=(16, 16))
    lzw = data.replace(b"\x03\x01\x03\0\x01\0\0\0\x08\0", b"\x03\x01\x03\0\x01\0\0\0\x05\0")
    assert lzw != data
    with pytest.raises(ScanFormatUnknown, match="save it with deflate"):
        read_scan(lzw)


def test_a_circle_of_pages_ends() -> None:
    data = tiff()
    with pytest.raises(ScanTooLarge, match="do not end"):
        read_scan(data[:-4] + data[4:8])


@pytest.mark.parametrize("big", [False, True])
def test_more_pages_than_a_stack_has_are_refused(big: bool) -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file, bigtiff=big) as writer:
        for _ in range(10_001):
            writer.write(GREY[:1, :1], contiguous=False, metadata=None, photometric="minisblack")
    with pytest.raises(ScanTooLarge, match="10,000 pages"):
        read_scan(file.getvalue())


@pytest.mark.parametrize("tag", ["t273", "t279"])
def test_more_strips_than_a_page_has_are_refused(tag: str) -> None:
    data = tiff(**{tag: 8})
    start = data.index(int(tag[1:]).to_bytes(2, "little") + b"\x04\0\x01\0\0\0")
    with pytest.raises(ScanTooLarge, match="strips or tiles"):
        read_scan(data[: start + 4] + (2_000_000).to_bytes(4, "little") + data[start + 8 :])


def test_tags_longer_than_the_file_are_refused() -> None:
    data = tiff(t270=8)
    start = data.index((270).to_bytes(2, "little") + b"\x04\0\x01\0\0\0")
    with pytest.raises(ScanCorrupt, match="more than the whole file"):
        read_scan(data[: start + 4] + (400_000_000).to_bytes(4, "little") + data[start + 8 :])


def test_pages_that_share_their_pixels_are_refused() -> None:
    once = tiff(100, 100, strip=bytes(10_000))
    directory = once[10_008:]
    pages = [directory[:-4] + (10_008 + (i + 1) * len(directory)).to_bytes(4, "little") for i in range(50)]
    with pytest.raises(ScanCorrupt, match="more pixels than"):
        read_scan(once[:10_008] + b"".join(pages) + directory)
