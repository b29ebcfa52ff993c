"""The values of a series: decoded, rescaled and signed as they were stored; or refused."""

import subprocess
from pathlib import Path

import numpy as np
import pydicom.config
import pytest
from dicom_series import into, pixels, series, store, stored
from pydicom import Dataset, dcmread
from pydicom.uid import (
    JPEG2000,
    JPEG2000Lossless,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from skipseg.models.errors import ScanCorrupt, ScanFormatUnknown, ScanUnusable
from skipseg.models.scans.reader import read_scan

SMOOTH = (np.add.outer(np.arange(32), np.arange(40)) * 20)[None].repeat(3, 0).astype(np.int16) - 700
DCMTK = Path("/usr/bin")
ENCODERS = {  # dcmtk's, and what they write
    "JPEG lossless": ("dcmcjpeg", "+e1"),
    "JPEG lossless, any predictor": ("dcmcjpeg", "+el"),
    "JPEG-LS": ("dcmcjpls", "+el"),
    "RLE": ("dcmcrle", ""),
}
LOSSY = {"JPEG": ("dcmcjpeg", "+eb"), "JPEG-LS near lossless": ("dcmcjpls", "+en")}


def values_of(folder: Path, made: list[Dataset]) -> np.ndarray:
    """As (slices, rows, columns)."""
    return read_scan(into(folder, made)).voxels[0].transpose(2, 1, 0)


def encoded(folder: Path, made: list[Dataset], program: str, option: str) -> list[Dataset]:
    if not (DCMTK / program).exists():
        pytest.skip(f"dcmtk's {program} is not installed")
    plain, packed = into(folder / "plain", made), folder / "packed"
    packed.mkdir()
    for path in sorted(plain.iterdir()):
        command = [str(DCMTK / program), *option.split(), str(path), str(packed / path.name)]
        subprocess.run(command, check=True, capture_output=True)
    return [dcmread(path) for path in sorted(packed.iterdir())]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32])
def test_values_are_read_as_they_are_stored(dtype: type, tmp_path: Path) -> None:
    values = np.abs(pixels() // 8).astype(dtype) if dtype in (np.uint8, np.uint16) else pixels().astype(dtype)
    np.testing.assert_array_equal(values_of(tmp_path, series(values)), values)


@pytest.mark.parametrize("name", ENCODERS)
def test_what_dcmtk_compressed_is_read_bit_for_bit(name: str, tmp_path: Path) -> None:
    unsigned = series((SMOOTH + 700).astype(np.uint16))
    made = encoded(tmp_path, unsigned, *ENCODERS[name])
    assert made[0].file_meta.TransferSyntaxUID.is_compressed
    np.testing.assert_array_equal(values_of(tmp_path / "read", made), SMOOTH + 700)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless, RLELossless])
@pytest.mark.parametrize("dtype", [np.int16, np.uint16])
def test_what_pydicom_compressed_is_read_bit_for_bit(syntax: str, dtype: type, tmp_path: Path) -> None:
    values = SMOOTH if dtype is np.int16 else (SMOOTH + 700).astype(np.uint16)
    made = series(values)
    for one in made:
        one.compress(syntax, generate_instance_uid=False)
    np.testing.assert_array_equal(values_of(tmp_path, made), values)


@pytest.mark.parametrize("name", LOSSY)
def test_what_was_compressed_with_a_loss_is_read_and_told(name: str, tmp_path: Path) -> None:
    values = ((SMOOTH + 700) // 8).astype(np.uint8)
    volume = read_scan(into(tmp_path / "read", encoded(tmp_path, series(values), *LOSSY[name])))
    assert np.abs(volume.voxels[0].transpose(2, 1, 0) - values).max() < 8
    assert "compressed with a loss" in volume.source.notes[0]


def test_each_slice_is_rescaled_by_its_own_slope(tmp_path: Path) -> None:
    made = series(Modality="PT")
    for number, one in enumerate(made):
        one.RescaleSlope, one.RescaleIntercept = 0.5 + number, -100 * number
    slopes, intercepts = (0.5 + np.arange(6))[:, None, None], (-100 * np.arange(6))[:, None, None]
    np.testing.assert_allclose(values_of(tmp_path, made), pixels() * slopes + intercepts, rtol=1e-6)


def test_monochrome1_is_turned_into_bright_for_much(tmp_path: Path) -> None:
    values = (pixels() + 500).astype(np.uint16)
    inverted = series(65535 - values, Modality="MR", PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(values_of(tmp_path / "unsigned", inverted), values)
    signed = series(-1 - pixels(), Modality="MR", PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(values_of(tmp_path / "signed", signed), pixels())


@pytest.mark.parametrize("modality", ["CT", "PT"])
def test_measured_values_mean_the_same_however_they_are_displayed(modality: str, tmp_path: Path) -> None:
    made = series(Modality=modality, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(values_of(tmp_path, made), pixels())


def test_bits_that_are_not_stored_do_not_count(tmp_path: Path) -> None:
    made = series()
    for one, plane in zip(made, pixels(), strict=True):
        low = plane.astype(np.int16) & 0x0FFF  # twelve bits, signed, with an overlay in the bits above
        store(one, (low | 0x3000).astype(np.int16))
        one.BitsStored, one.HighBit = 12, 11
    np.testing.assert_array_equal(values_of(tmp_path, made), pixels())


def test_big_endian_is_read(tmp_path: Path) -> None:
    made = series()
    for one in made:
        one.PixelData = np.frombuffer(one.PixelData, "<i2").astype(">i2").tobytes()
        one.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.2"
    folder = tmp_path / "big"
    folder.mkdir()
    for number, one in enumerate(made):
        one.save_as(folder / f"{number}", implicit_vr=False, little_endian=False, enforce_file_format=True)
    np.testing.assert_array_equal(read_scan(folder).voxels[0].transpose(2, 1, 0), pixels())


def with_elements(**elements: object) -> list[Dataset]:
    return series(**elements)


def coloured(kind: str, samples: int) -> list[Dataset]:
    made = series(np.zeros((2, 4, 4 * samples), np.uint8))
    for one in made:
        one.Columns, one.SamplesPerPixel, one.PhotometricInterpretation, one.PlanarConfiguration = 4, samples, kind, 0
    return made


REFUSED = {
    "RGB": (coloured("RGB", 3), ScanUnusable, "grey"),
    "YBR": (coloured("YBR_FULL", 3), ScanUnusable, "grey"),
    "a palette": (coloured("PALETTE COLOR", 1), ScanUnusable, "palette"),
    "a slope of 0": (with_elements(RescaleSlope=0), ScanUnusable, "slope"),
    "a lookup table": (with_elements(ModalityLUTSequence=[Dataset()]), ScanUnusable, "lookup"),
    "single bits": (with_elements(BitsAllocated=1, BitsStored=1, HighBit=0), ScanUnusable, "8, 16 or 32"),
    "more bits stored than allocated": (with_elements(BitsStored=17), ScanUnusable, "17 of 16"),
    "bits that are not the lowest": (with_elements(BitsStored=12, HighBit=15), ScanUnusable, "bit 15"),
    "pixels cut short": (with_elements(PixelData=bytes(100)), ScanCorrupt, "126 bytes and are 100"),
    "pixels too many": (with_elements(PixelData=bytes(1000)), ScanCorrupt, "126 bytes and are 1,000"),
    "more rows than pixels": (with_elements(Rows=8000), ScanCorrupt, "bytes and are 126"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_pixels_that_are_no_scans_are_refused(name: str, tmp_path: Path) -> None:
    made, error, words = REFUSED[name]
    with pytest.raises(error, match=words):
        values_of(tmp_path, made)


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless])
def test_a_codestream_that_claims_another_size_is_not_unpacked(syntax: str, tmp_path: Path) -> None:
    small = series(np.zeros((1, 16, 16), np.uint16))
    (large,) = series(np.zeros((1, 2048, 2048), np.uint16))
    large.compress(syntax)
    small[0].file_meta.TransferSyntaxUID, small[0].PixelData = syntax, large.PixelData
    small[0]["PixelData"].VR, small[0]["PixelData"].is_undefined_length = "OB", True
    with pytest.raises(ScanCorrupt, match="not as its header says"):
        values_of(tmp_path, small)


def test_next_to_nothing_that_claims_gigabytes_is_not_unpacked(tmp_path: Path) -> None:
    (one,) = series(np.zeros((1, 16, 16), np.uint16))
    one.compress(RLELossless)
    one.Rows = one.Columns = 16_000
    with pytest.raises(ScanCorrupt, match="claim to be"):
        values_of(tmp_path, [one])


@pytest.mark.parametrize("syntax", [JPEG2000, JPEGLSNearLossless])
def test_a_damaged_codestream_is_refused(syntax: str, tmp_path: Path) -> None:
    made = series(SMOOTH[:1])
    made[0].compress(JPEG2000Lossless if syntax == JPEG2000 else JPEGLSLossless)
    data = bytearray(made[0].PixelData)
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    made[0].PixelData = bytes(data)
    with pytest.raises(ScanCorrupt, match="damaged"):
        values_of(tmp_path, made)


def test_a_compression_that_is_not_read_is_named(tmp_path: Path) -> None:
    (one,) = series(SMOOTH[:1])
    one.compress(JPEG2000Lossless)
    one.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"  # MPEG-4
    with pytest.raises(ScanFormatUnknown, match="JPEG-LS and JPEG 2000"):
        read_scan(stored(one))


def test_jpeg_of_12_bits_with_a_loss_is_named(tmp_path: Path) -> None:
    made = series(((SMOOTH + 700) // 4).astype(np.uint16), BitsStored=12, HighBit=11)
    packed = encoded(tmp_path, made, "dcmcjpeg", "+ee")
    with pytest.raises(ScanFormatUnknown, match="8 bits alone"):
        values_of(tmp_path / "read", packed)


def test_reading_leaves_nothing_of_a_header_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    made = series()
    with pydicom.config.disable_value_validation():
        for one in made:
            one.StudyDate, one.PatientBirthDate = "Doe^Jane", "Doe^Jane"
            one.WindowCenter = "40"
    values_of(tmp_path, made)
    assert "Doe" not in caplog.text + "".join(str(warning.message) for warning in recwarn)
