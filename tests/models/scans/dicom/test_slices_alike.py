"""Slices of two images that make one regular grid together: refused, as a network would see a mixture."""

from pathlib import Path

import pytest
from dicom_series import STEP, into, pixels, series
from pydicom import Dataset

from skipseg.models.errors import ScanUnusable
from skipseg.models.scans.dicom.choice import SeriesChoice
from skipseg.models.scans.reader import read_scan

DIFFERENT = {
    "EchoTime": (10.0, 80.0),
    "EchoNumbers": (1, 2),
    "InversionTime": (900.0, 2500.0),
    "DiffusionBValue": (None, 1000.0),
    "TemporalPositionIdentifier": (1, 2),
    "ConvolutionKernel": ("B30f", "B70f"),
    "KVP": (80.0, 140.0),
    "ImageType": (["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "P"]),
    "StudyInstanceUID": ("1.2.3", "1.2.4"),
    "PatientID": ("ID-4711-Q", "ID-4712-Q"),
}


def two(keyword: str, values: tuple[object, object], above: float) -> list[Dataset]:
    """One series of two images, the second ``above`` mm over the first, that differ in one element."""
    made = series(pixels(4), [(-10, 20, STEP * number) for number in range(4)])
    others = series(pixels(4) + 100, [(-10, 20, above + STEP * number) for number in range(4)])
    for one, value in [(one, values[0]) for one in made] + [(one, values[1]) for one in others]:
        one.SeriesInstanceUID, one.StudyInstanceUID = made[0].SeriesInstanceUID, made[0].StudyInstanceUID
        one.FrameOfReferenceUID = made[0].FrameOfReferenceUID
        if value is not None:
            setattr(one, keyword, value)
    return [*made, *others]


@pytest.mark.parametrize("keyword", DIFFERENT)
def test_two_images_in_one_series_are_never_interleaved(keyword: str, tmp_path: Path) -> None:
    folder = into(tmp_path, two(keyword, DIFFERENT[keyword], STEP / 2))
    with pytest.raises(ScanUnusable, match=f"4 of 8 differ from the lowest in {keyword}, at 1.25, 3.75") as refusal:
        read_scan(folder)
    assert "471" not in str(refusal.value)


def test_nor_are_they_interpolated_nor_put_on_top_of_each_other(tmp_path: Path) -> None:
    for number, above in enumerate((1.0, 4 * STEP)):
        folder = into(tmp_path / str(number), two("EchoTime", (10.0, 80.0), above))
        with pytest.raises(ScanUnusable, match="EchoTime"):
            read_scan(folder, choice=SeriesChoice(geometry="resample"))


def test_a_rounded_number_and_a_missing_name_are_no_difference(tmp_path: Path) -> None:
    made = series(Modality="MR", EchoTime=10.0)
    made[3].EchoTime = 10.02
    del made[0].PatientID, made[4].Modality
    assert read_scan(into(tmp_path, made)).geometry.shape == (9, 7, 6)


def test_an_image_without_identity_is_refused(tmp_path: Path) -> None:
    folder = into(tmp_path, series())
    file = folder / "IM00002"
    data = file.read_bytes()
    at = data.index(b"\x08\x00\x18\x00UI")
    file.write_bytes(data[:at] + b"\x08\x00\x17\x00" + data[at + 4 :])
    with pytest.raises(ScanUnusable, match="SOP Instance UID"):
        read_scan(folder)
