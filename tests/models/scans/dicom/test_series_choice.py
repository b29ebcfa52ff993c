"""Which series of a study is read."""

from pathlib import Path

import numpy as np
import pytest
from dicom_series import into, pixels, series
from pydicom import Dataset

from skipseg.models.errors import ScanUnusable, UsageError
from skipseg.models.scans.dicom.choice import SeriesChoice, SeriesRule
from skipseg.models.scans.reader import read_channels, read_scan

WORDS = "Doe^Jane secret"


def study() -> dict[str, list[Dataset]]:
    """T1, T2 and CT of one patient, on one grid; values tell them apart."""
    kinds = {
        "t1": {"Modality": "MR", "SeriesDescription": f"AX T1 post {WORDS}"},
        "t2": {"Modality": "MR", "SeriesDescription": f"ax t2 {WORDS}"},
        "ct": {"Modality": "CT", "SeriesDescription": f"thin {WORDS}"},
    }
    made = {kind: series(pixels() + number, **told) for number, (kind, told) in enumerate(kinds.items())}
    for one in (one for stack in made.values() for one in stack):
        first = made["t1"][0]
        one.StudyInstanceUID, one.FrameOfReferenceUID = first.StudyInstanceUID, first.FrameOfReferenceUID
    return made


@pytest.fixture(scope="module")
def made() -> dict[str, list[Dataset]]:
    return study()


@pytest.fixture(scope="module")
def folder(made: dict[str, list[Dataset]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("study")
    mixed = [one for together in zip(*made.values(), strict=True) for one in together]
    into(root / "a" / "b", mixed[:9])
    into(root / "c", mixed[9:])
    (root / "DICOMDIR").write_bytes(b"no DICOM, whatever it is called")
    (root / "README.txt").write_text("hello")
    return root


def first_value(volume_channel: np.ndarray) -> int:
    return int(volume_channel[0, 0, 0]) - int(pixels()[0, 0, 0])


def test_of_several_series_none_is_guessed_and_no_description_is_told(
    made: dict[str, list[Dataset]], folder: Path
) -> None:
    with pytest.raises(ScanUnusable) as refusal:
        read_scan(folder)
    told = str(refusal.value)
    assert all(stack[0].SeriesInstanceUID in told for stack in made.values())
    assert "(MR, 9 x 7 x 6)" in told
    assert "secret" not in told
    assert "T1" not in told


@pytest.mark.parametrize(("kind", "number"), [("t1", 0), ("t2", 1), ("ct", 2)])
def test_the_series_that_is_named_is_read_and_told(
    kind: str, number: int, made: dict[str, list[Dataset]], folder: Path
) -> None:
    uid = made[kind][0].SeriesInstanceUID
    volume = read_scan(folder, choice=SeriesChoice(series=uid))
    assert (first_value(volume.voxels[0]), volume.source.series) == (number, uid)
    assert volume.source.header.ignored == 14


RULES = {"ct": SeriesRule("CT"), "t1": SeriesRule("MR", "t1 POST"), "t2": SeriesRule(description="T2")}


@pytest.mark.parametrize("kind", RULES)
def test_the_plans_rule_picks_and_it_is_told_what(kind: str, made: dict[str, list[Dataset]], folder: Path) -> None:
    volume = read_scan(folder, choice=SeriesChoice(rules=(RULES[kind],)))
    assert volume.source.series == made[kind][0].SeriesInstanceUID


def test_channels_of_a_model_are_the_series_of_one_study(made: dict[str, list[Dataset]], folder: Path) -> None:
    by_rule = read_channels([folder], choice=SeriesChoice(rules=(RULES["t2"], RULES["t1"])))
    assert [first_value(channel) for channel in by_rule.voxels] == [1, 0]
    uids = ",".join(made[kind][0].SeriesInstanceUID for kind in ("ct", "t1"))
    named = read_channels([folder], choice=SeriesChoice(series=uids, rules=(SeriesRule(), SeriesRule())))
    assert [first_value(channel) for channel in named.voxels] == [2, 0]
    assert named.source.series == uids
    assert named.source.header.ignored == 8


REFUSED = {
    "a rule that fits several": SeriesChoice(rules=(SeriesRule("MR"),)),
    "a rule that fits none": SeriesChoice(rules=(SeriesRule("PT"),)),
    "a description of none": SeriesChoice(rules=(SeriesRule("MR", "flair"),)),
    "a series that is not there": SeriesChoice(series="1.2.3"),
    "one series for two channels": SeriesChoice(rules=(SeriesRule("CT"), SeriesRule("CT"))),
    "two channels without rules": SeriesChoice(rules=(SeriesRule(), SeriesRule())),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_chosen_is_refused(name: str, folder: Path) -> None:
    with pytest.raises(ScanUnusable):
        read_channels([folder], choice=REFUSED[name])


def test_a_model_of_another_modality_does_not_take_the_only_series(tmp_path: Path) -> None:
    folder = into(tmp_path, series(Modality="MR"))
    with pytest.raises(ScanUnusable, match="modality 'CT'"):
        read_scan(folder, choice=SeriesChoice(rules=(SeriesRule("CT"),)))


def test_a_uid_is_digits_and_dots() -> None:
    with pytest.raises(UsageError, match="digits and dots"):
        SeriesChoice(series="../etc")


def test_parts_that_are_series_of_their_own_are_channels_in_order(tmp_path: Path) -> None:
    made = study()
    folders = [into(tmp_path / kind, made[kind]) for kind in ("ct", "t2")]
    volume = read_channels(folders)
    assert [first_value(channel) for channel in volume.voxels] == [2, 1]
    assert volume.source.series == ",".join(made[kind][0].SeriesInstanceUID for kind in ("ct", "t2"))


def test_channels_in_two_frames_of_reference_are_no_scan_although_their_numbers_agree(tmp_path: Path) -> None:
    made = study()
    for one in made["t2"]:
        one.FrameOfReferenceUID = "1.2.3"
    with pytest.raises(ScanUnusable, match="one frame of reference"):
        read_channels([into(tmp_path / kind, made[kind]) for kind in ("t1", "t2")])
