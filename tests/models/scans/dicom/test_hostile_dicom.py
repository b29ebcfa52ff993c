"""Broken and hostile DICOM and zips: refused in words, and never at the price of memory."""

import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from dicom_series import enhanced, into, pixels, series, stored, zip_of_series, zipped
from process_memory import forget_the_peak, kilobytes
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import BasicTextSRStorage, ExplicitVRLittleEndian, generate_uid

from skipseg.models.errors import ScanCorrupt, ScanError, ScanFormatUnknown, ScanTooLarge, UsageError
from skipseg.models.scans.archives import Archive
from skipseg.models.scans.dicom.found import contents_of
from skipseg.models.scans.dicom.parts import parts_in
from skipseg.models.scans.limits import Limits
from skipseg.models.scans.reader import read_scan


def one() -> bytes:
    return stored(series(pixels(1))[0])


def bomb() -> bytes:
    """Half a megabyte that inflates to half a gigabyte."""
    data = one()
    start = data.index(b"\x08\x00\x08\x00CS")
    meta = data[:start].replace(b"1.2.840.10008.1.2.1\x00", b"1.2.840.10008.1.2.1.99")
    length = struct.pack("<I", struct.unpack_from("<I", meta, 140)[0] + 2)
    syntax = meta.index(b"UI", meta.index(b"\x02\x00\x10\x00"))
    meta = meta[:140] + length + meta[144 : syntax + 2] + struct.pack("<H", 22) + meta[syntax + 4 :]
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = packer.compress(data[start:])
    for _ in range(512):
        body += packer.compress(bytes(2**20))
    return meta + body + packer.flush()


def no_pixels() -> bytes:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = BasicTextSRStorage, generate_uid()
    dataset.Modality, dataset.SeriesInstanceUID, dataset.PatientName = "SR", generate_uid(), "Doe^Jane"
    return stored(dataset)


def image_without_pixels() -> bytes:
    (dataset,) = series(pixels(1))
    del dataset.PixelData
    return stored(dataset)


def nested() -> bytes:
    """Sequences in sequences, deeper than anybody's stack."""
    start = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
    return one()[:-200] + start * 5000


def large_element() -> bytes:
    """An element that claims 4 GiB."""
    return one()[:-150] + b"\x09\x00\x10\x10OB\0\0" + struct.pack("<I", 0xFFFFFFFE)


def member(name: str, data: bytes, **info: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        entry = zipfile.ZipInfo(name)
        for key, value in info.items():
            setattr(entry, key, value)
        archive.writestr(entry, data)
    return file.getvalue()


def encrypted() -> bytes:
    data = bytearray(member("a", one()))
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(signature) + offset] |= 1
    return bytes(data)


def many_frames() -> bytes:
    made = enhanced(pixels(), [(0, 0, k) for k in range(6)])
    made.NumberOfFrames = 2_000_000_000
    return stored(made)


HOSTILE: dict[str, tuple[Callable[[], bytes], type[Exception], str]] = {
    "cut in its header": (lambda: one()[:400], ScanCorrupt, "cut short"),
    "cut in its pixels": (lambda: one()[:-60], ScanCorrupt, "bytes and are|cut short"),
    "cut in its meta": (lambda: one()[:150], ScanCorrupt, "damaged|transfer syntax"),
    "no preamble": (lambda: one()[132:], ScanFormatUnknown, "part 10"),
    "no preamble, no meta": (lambda: one()[one().index(b"\x08\x00\x08\x00CS") :], ScanFormatUnknown, "part 10"),
    "no pixels": (no_pixels, ScanFormatUnknown, "no DICOM image"),
    "an image without pixels": (image_without_pixels, ScanCorrupt, "no pixels"),
    "deflated": (bomb, ScanFormatUnknown, "deflated"),
    "nested without end": (nested, ScanCorrupt, "damaged|no pixels"),
    "an element of 4 GiB": (large_element, ScanCorrupt, "damaged|no pixels"),
    "frames without number": (many_frames, ScanTooLarge, "voxels"),
    "rows and columns of a planet": (
        lambda: stored(series(pixels(1), Rows=65535, Columns=65535)[0]),
        ScanTooLarge,
        "voxels",
    ),
    "a zip of nothing": (lambda: zipped({}), ScanFormatUnknown, "no DICOM image"),
    "a zip of text": (lambda: zipped({"a.txt": b"hello"}), ScanFormatUnknown, "no DICOM image"),
    "a zip in a zip": (lambda: zipped({"a.zip": zip_of_series(series())}), ScanFormatUnknown, "no DICOM image"),
    "a zip that is encrypted": (encrypted, UsageError, "encrypted"),
    "a zip with a link": (lambda: member("a", b"/etc", external_attr=0o120777 << 16), UsageError, "a link"),
    "a zip that climbs out": (lambda: zipped({"../a.dcm": one()}), UsageError, "leads out"),
    "a zip with an absolute name": (lambda: zipped({"/etc/a.dcm": one()}), UsageError, "leads out"),
    "a zip with an odd name": (lambda: zipped({"a\x01b": one()}), UsageError, "name"),
    "a zip that unfolds a thousandfold": (lambda: zipped({"a": bytes(2**26)}), ScanTooLarge, "100 times"),
    "a zip of too many": (
        lambda: zipped({f"{number:06}": b"" for number in range(100_001)}),
        ScanTooLarge,
        "100,000 files",
    ),
    "a zip cut short": (lambda: zip_of_series(series())[:-40], ScanCorrupt, "zip"),
    "a zip of a damaged slice": (
        lambda: zipped(
            {str(number): stored(one)[: 400 if number == 5 else None] for number, one in enumerate(series())}
        ),
        ScanCorrupt,
        "cut short",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_broken_or_hostile_is_refused_in_words(name: str) -> None:
    make, error, words = HOSTILE[name]
    data = make()
    with pytest.raises(error, match=words) as refusal:
        read_scan(data)
    assert "Doe" not in str(refusal.value)


@pytest.mark.parametrize("name", ["deflated", "an element of 4 GiB", "frames without number", "nested without end"])
def test_what_claims_much_takes_no_memory(name: str) -> None:
    data = HOSTILE[name][0]()

    forget_the_peak(os.getpid())
    before = kilobytes(os.getpid(), "VmRSS")
    with pytest.raises(ScanError):
        read_scan(data)
    assert kilobytes(os.getpid(), "VmHWM") - before < 200 * 1024


def test_a_member_of_a_zip_is_not_unpacked_to_look_at_its_header(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target,
        target.open("slice", "w") as member,
    ):
        member.write(one())
        for _ in range(512):
            member.write(bytes(2**20))
    forget_the_peak(os.getpid())
    before = kilobytes(os.getpid(), "VmRSS")
    with Archive(path) as archive:
        contents_of(parts_in(archive), keep_damaged=True)
    assert kilobytes(os.getpid(), "VmHWM") - before < 300 * 1024


def test_a_damaged_slice_in_a_folder_is_never_passed_over(tmp_path: Path) -> None:
    folder = into(tmp_path, series())
    (folder / "IM00005").write_bytes((folder / "IM00005").read_bytes()[:500])
    with pytest.raises(ScanCorrupt, match="cut short"):
        read_scan(folder)


def test_limits_hold_before_pixels_are_read(tmp_path: Path) -> None:
    folder = into(tmp_path, series())
    with pytest.raises(ScanTooLarge, match="at most 300 voxels"):
        read_scan(folder, Limits(voxels=300))
    with pytest.raises(ScanTooLarge, match="at most 3,000 bytes"):
        read_scan(folder, Limits(file_bytes=3000))


@pytest.mark.parametrize("inside", ["", "DICOM/PA 0/ST0/"])
def test_a_zip_of_a_series_is_read_whatever_lies_beside_it(inside: str) -> None:
    made = {f"{inside}{number}": stored(one) for number, one in enumerate(series())}
    volume = read_scan(zipped({**made, "DICOMDIR": b"junk", "viewer/run.exe": b"MZ", "__MACOSX/x": b""}))
    np.testing.assert_array_equal(volume.voxels[0].transpose(2, 1, 0), pixels())
    assert volume.source.header.ignored == 2


def test_a_study_with_reports_is_read(tmp_path: Path) -> None:
    folder = into(tmp_path, series())
    (folder / "report").write_bytes(no_pixels())
    assert read_scan(folder).source.header.ignored == 1


def test_bytes_after_chance_are_refused_or_read_and_never_worse() -> None:
    whole, chance = bytearray(stored(series(pixels(1))[0])), np.random.default_rng(5)
    for _ in range(300):
        data = bytearray(whole)
        for at in chance.integers(132, len(data), 4):
            data[at] = int(chance.integers(256))
        with suppress(ScanError, UsageError):
            read_scan(bytes(data))


def test_numbers_that_begin_like_a_group_are_no_dicom() -> None:
    counts = np.arange(8, 200, dtype="<i4").tobytes()
    with pytest.raises(ScanFormatUnknown, match="no format that is read"):
        read_scan(counts)
