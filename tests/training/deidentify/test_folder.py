"""What ``skipseg dicom deidentify`` makes of real series with a planted patient."""

import contextlib
import os
import re
import shutil
import stat
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from planted import CLINIC, NAME, NUMBER, PATIENT, planted, save, says_who, told
from pydicom import Dataset, Sequence, dcmread, dcmwrite
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless

from skipseg.models.scans.reader import read_scan
from skipseg.service.cli import run

GEOMETRY = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "Rows", "Columns")


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


@pytest.fixture
def deidentify(capfd) -> Callable[..., Ended]:
    def command(folder: Path, out: Path, *more: object) -> Ended:
        code = run(["dicom", "deidentify", str(folder), "--out", str(out), *map(str, more)])
        told = capfd.readouterr()
        return Ended(int(code or 0), told.out, told.err)

    return command


@pytest.fixture(scope="session")
def study(real_data, tmp_path_factory) -> Path:
    """Two series of one study, in folders and files that are called after their patient, and what lies beside such."""
    folder = tmp_path_factory.mktemp("study") / NAME
    for series in ("brain-T1post", "brain-T2"):
        for path in sorted((real_data("dicom") / series).iterdir())[:4]:
            save(planted(path), folder / series / NUMBER / f"{NAME}-{path.name}")
    (folder / "readme.txt").write_text(PATIENT)
    (folder / "empty").touch()
    return folder


def files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def read(folder: Path) -> list[Dataset]:
    return [dcmread(path) for path in files(folder)]


def by_pixels(scans: list[Dataset]) -> dict[bytes, Dataset]:
    return {scan.PixelData: scan for scan in scans}


def one(study: Path) -> Dataset:
    return dcmread(next(path for path in files(study) if path.suffix == ".dcm"))


@pytest.fixture(scope="session")
def cleaned(study, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("cleaned")
    assert run(["dicom", "deidentify", str(study), "--out", str(out)]) == 0
    return out


def test_nothing_that_was_planted_is_in_any_byte_any_name_or_any_word(study, deidentify, tmp_path) -> None:
    assert all(len(says_who(path.read_bytes())) >= 8 for path in files(study) if path.suffix == ".dcm")
    ended = deidentify(study, tmp_path / "out")
    assert (ended.code, len(files(tmp_path / "out"))) == (0, 8)
    assert not any(says_who(path.read_bytes()) for path in files(tmp_path / "out"))
    assert not says_who(str([path.relative_to(tmp_path) for path in tmp_path.rglob("*")]).encode())
    assert not says_who((ended.out + ended.err).encode())
    assert "8 of 10 files written" in ended.out
    assert "2 are no DICOM" in ended.out


def test_pixels_and_geometry_are_the_same_and_private_elements_gone(study, cleaned) -> None:
    before, after = (
        by_pixels([dcmread(path) for path in files(study) if path.suffix == ".dcm"]),
        by_pixels(read(cleaned)),
    )
    assert len(before) == 8
    assert set(before) == set(after)
    for pixels, scan in after.items():
        assert all(scan[word].value == before[pixels][word].value for word in GEOMETRY)
        assert not any(element.tag.is_private for element in scan.iterall())
        assert scan.file_meta.TransferSyntaxUID == before[pixels].file_meta.TransferSyntaxUID


def test_a_series_is_read_as_before(real_data, deidentify, tmp_path) -> None:
    folder = real_data("dicom") / "hippocampus-crop-1"
    for path in folder.iterdir():
        save(planted(path), tmp_path / "in" / path.name)
    assert deidentify(tmp_path / "in", tmp_path / "out").code == 0
    before, after = read_scan(folder), read_scan(tmp_path / "out")
    assert np.array_equal(before.voxels, after.voxels)
    assert np.array_equal(before.geometry.affine, after.geometry.affine)
    assert len(after.source.header.instances) == 32


def test_uids_are_others_and_still_lead_to_each_other(study, cleaned) -> None:
    scans = read(cleaned)
    old = {str(element.value) for path in files(study) if path.suffix == ".dcm" for element in uids(dcmread(path))}
    assert old.isdisjoint(str(element.value) for scan in scans for element in uids(scan))
    assert len({scan.StudyInstanceUID for scan in scans}) == 1
    assert len({scan.SeriesInstanceUID for scan in scans}) == 2
    assert len({scan.SOPInstanceUID for scan in scans}) == 8
    assert {scan.SourceImageSequence[0].ReferencedSOPInstanceUID == scan.SOPInstanceUID for scan in scans} == {True}
    assert {scan.file_meta.MediaStorageSOPInstanceUID == scan.SOPInstanceUID for scan in scans} == {True}
    assert [len({scan.FrameOfReferenceUID for scan in group(scans, uid)}) for uid in series(scans)] == [1, 1]
    assert len({scan.PatientID for scan in scans}) == 1


def uids(scan: Dataset) -> list:
    kinds = ("ClassUID", "SyntaxUID")
    return [
        one for one in scan.iterall() if one.VR == "UI" and not one.keyword.endswith(kinds) and not one.tag.is_private
    ]


def series(scans: list[Dataset]) -> set[str]:
    return {scan.SeriesInstanceUID for scan in scans}


def group(scans: list[Dataset], uid: str) -> list[Dataset]:
    return [scan for scan in scans if scan.SeriesInstanceUID == uid]


def test_what_was_done_is_said_and_no_more(cleaned) -> None:
    for scan in read(cleaned):
        codes = [item.CodeValue for item in scan.DeidentificationMethodCodeSequence]
        assert (codes, scan.PatientIdentityRemoved) == (["113100"], "YES")
        assert scan.LongitudinalTemporalInformationModified == "REMOVED"
        assert (scan.StudyDate, scan.PatientBirthDate, scan.PatientSex) == ("", "", "")


def test_another_run_gives_others_and_a_mapping_the_same(study, cleaned, deidentify, tmp_path) -> None:
    key = tmp_path / "kept" / "key.json"
    key.parent.mkdir()
    half = tmp_path / "half"
    shutil.copytree(study / "brain-T2", half / "brain-T2")
    assert deidentify(half, tmp_path / "first", "--mapping", key).code == 0
    assert deidentify(study, tmp_path / "second", "--mapping", key).code == 0
    names = {path.name for path in files(tmp_path / "second")}
    assert {path.name for path in files(tmp_path / "first")} < names
    assert names.isdisjoint(path.name for path in files(cleaned))
    again = deidentify(study, tmp_path / "second", "--mapping", key)
    assert (again.code, "8 were there already" in again.out, len(files(tmp_path / "second"))) == (0, True, 8)


def test_the_way_back_is_kept_only_when_asked_for_and_is_its_owners_alone(study, deidentify, tmp_path) -> None:
    key, out = tmp_path / "key.json", tmp_path / "out"
    before = set(tmp_path.iterdir())
    deidentify(study, tmp_path / "plain")
    assert set(tmp_path.iterdir()) - before == {tmp_path / "plain"}
    deidentify(study, out, "--mapping", key)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert NUMBER in key.read_text()
    assert one(study).SOPInstanceUID in key.read_text()
    with FileLock(f"{key}.lock"):
        assert deidentify(study, out, "--mapping", key).code == 2
    key.chmod(0o644)
    assert deidentify(study, out, "--mapping", key).code == 2
    key.chmod(0o600)
    key.write_text("{}")
    assert deidentify(study, out, "--mapping", key).code == 2
    assert deidentify(study, out, "--mapping", out / "key.json").code == 2


REFUSED: dict[str, tuple[dict[str, object], str]] = {
    "says so": ({"BurnedInAnnotation": "YES"}, "burned into their pixels"),
    "ultrasound": ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.6.1", "Modality": "US"}, "usually has text"),
    "secondary capture": ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "usually has text"),
    "screenshot": ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "usually has text"),
    "document": ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1"}, "usually has text"),
    "scanned film": ({"ConversionType": "DF"}, "usually has text"),
    "photograph": ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.4"}, "usually has text"),
    "report": ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.33"}, "neither scans nor masks"),
    "graphics in pixels": ({"OverlayInPixels": True}, "unused bits"),
    "a name where none belongs": ({"ManufacturerModelName": f"the scanner of {NAME}"}, "would still have said"),
    "a number in a number": ({"PatientID": "739002155", "SeriesNumber": "739002155"}, "would still have said"),
    "a name in the pixels": ({"PixelsSay": PATIENT.encode()}, "would still have said"),
    "no study": ({"StudyInstanceUID": ""}, "damaged"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_vouched_for_is_refused_by_its_number(case, study, deidentify, tmp_path) -> None:
    changes, reason = REFUSED[case]
    scan = one(study)
    for keyword, value in changes.items():
        if keyword == "OverlayInPixels":
            scan.add_new(0x60000100, "US", 16)
        elif keyword == "PixelsSay":
            scan.PixelData = value + scan.PixelData[len(value) :]
        else:
            setattr(scan, keyword, value)
    place = tmp_path / "in"
    save(one(study), place / "a.dcm")
    save(scan, place / f"{NAME}.dcm")
    ended = deidentify(place, tmp_path / "out")
    assert (ended.code, len(files(tmp_path / "out"))) == (1, 1)
    assert re.search(rf"1 refused, as they .*{reason}.*: 1$", ended.err, re.MULTILINE), ended.err
    assert not says_who((ended.out + ended.err).encode())


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, RLELossless])
def test_other_ways_to_store_stay_and_hold_the_same_voxels(syntax, real_data, deidentify, tmp_path) -> None:
    scan = planted(real_data("dicom") / "brain-T2" / "000003.dcm")
    voxels = scan.pixel_array
    for tag in [element.tag for element in scan if element.tag.is_private]:
        del scan[tag]  # pydicom writes none of unknown meaning in another order of bytes
    path = tmp_path / "in" / "a.dcm"
    path.parent.mkdir()
    if syntax == RLELossless:
        scan.compress(RLELossless, generate_instance_uid=False)
    elif syntax == ExplicitVRBigEndian:
        scan.PixelData = voxels.astype(voxels.dtype.newbyteorder(">")).tobytes()
    scan.file_meta.TransferSyntaxUID = syntax
    dcmwrite(path, scan, implicit_vr=syntax.is_implicit_VR, little_endian=syntax.is_little_endian)
    assert deidentify(path.parent, tmp_path / "out").code == 0
    (made,) = files(tmp_path / "out")
    assert dcmread(made).file_meta.TransferSyntaxUID == syntax
    assert dcmread(made).PixelData == dcmread(path).PixelData
    assert np.array_equal(dcmread(made).pixel_array, voxels)
    assert not says_who(made.read_bytes())


def test_a_name_beyond_ascii_is_looked_for_too(study, deidentify, tmp_path) -> None:
    scan = one(study)
    scan.SpecificCharacterSet, scan.PatientName = "ISO_IR 192", "Грюнвальд^Анна"
    save(scan, tmp_path / "in" / "1.dcm")
    scan.SOPInstanceUID = scan.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    scan.ManufacturerModelName = "аппарат грюнвальд"
    save(scan, tmp_path / "in" / "2.dcm")
    ended = deidentify(tmp_path / "in", tmp_path / "out")
    assert (ended.code, len(files(tmp_path / "out"))) == (1, 1)
    assert "Грюнвальд".encode() not in files(tmp_path / "out")[0].read_bytes()


def test_two_files_of_one_identity_are_written_once_or_refused(study, deidentify, tmp_path) -> None:
    scan = one(study)
    for name in "ab":
        save(scan, tmp_path / "in" / name)
    scan.PixelData = bytes(len(scan.PixelData))
    save(scan, tmp_path / "in" / "c")
    ended = deidentify(tmp_path / "in", tmp_path / "out")
    assert (ended.code, len(files(tmp_path / "out"))) == (1, 1)
    assert "1 were there already" in ended.out
    assert re.search(r"identity of another file.*: 3$", ended.err, re.MULTILINE)


def test_damaged_and_hostile_files_end_nothing_and_are_not_quoted(study, deidentify, tmp_path) -> None:
    good, folder = save(one(study), tmp_path / "in" / "a.dcm").read_bytes(), tmp_path / "in"
    (folder / "b.dcm").write_bytes(good[:3000])
    (folder / "c.dcm").write_bytes(good[:132] + PATIENT.encode() * 9)
    for number, seed in enumerate(range(30)):
        mutant, chance = bytearray(good), np.random.default_rng(seed)
        for at in chance.integers(132, 9000, 12):
            mutant[at] = chance.integers(256)
        (folder / f"m{number}.dcm").write_bytes(mutant)
    scan = one(study)
    scan.SOPInstanceUID = "1.2.840.10008./../../../escaped"
    save(scan, folder / "d.dcm")
    ended = deidentify(folder, tmp_path / "out")
    assert ended.code == 1
    assert not says_who((ended.out + ended.err).encode())
    assert not any(says_who(path.read_bytes()) for path in files(tmp_path / "out"))
    assert {path.name for path in tmp_path.iterdir()} == {"in", "out"}


def test_what_is_used_wrongly_is_told(study, deidentify, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    assert deidentify(tmp_path / "empty", tmp_path / "out").code == 2
    assert deidentify(study, study / "out").code == 2
    with contextlib.chdir(study.parent):
        assert deidentify(study, Path(".")).code == 2


def test_faces_are_mentioned_once_where_there_may_be_some(study, deidentify, tmp_path) -> None:
    assert deidentify(study, tmp_path / "out").err.count("face can be recognised") == 1
    scan = one(study)
    scan.BodyPartExamined = "PROSTATE"
    save(scan, tmp_path / "in" / "a.dcm")
    assert "face" not in deidentify(tmp_path / "in", tmp_path / "none").err


def test_a_segmentation_goes_with_its_series(study, deidentify, tmp_path) -> None:
    import highdicom
    from pydicom.sr.codedict import codes

    source = [dcmread(path) for path in files(study / "brain-T2")]
    source.sort(key=lambda scan: scan.ImagePositionPatient[2])
    about = highdicom.seg.SegmentDescription(
        1, "Brain", codes.SCT.Organ, codes.SCT.Brain, highdicom.seg.SegmentAlgorithmTypeValues.MANUAL
    )
    mask = np.zeros((4, source[0].Rows, source[0].Columns), np.uint8)
    mask[:, 100:200, 90:300] = 1
    identity = (highdicom.UID(), 1, highdicom.UID(), 1, "made", "by", "1.0", "5")
    seg = highdicom.seg.Segmentation(source, mask, "BINARY", [about], *identity, omit_empty_frames=False)
    save(seg, tmp_path / "in" / "seg.dcm")
    shutil.copytree(study / "brain-T2", tmp_path / "in" / "scan")
    assert deidentify(tmp_path / "in", tmp_path / "out").code == 0
    made = read(tmp_path / "out")
    (mask_made,) = [scan for scan in made if scan.Modality == "SEG"]
    scans = {scan.SOPInstanceUID: scan for scan in made if scan.Modality == "MR"}
    assert mask_made.PixelData == seg.PixelData
    referenced = mask_made.ReferencedSeriesSequence[0]
    assert {item.ReferencedSOPInstanceUID for item in referenced.ReferencedInstanceSequence} == set(scans)
    assert {referenced.SeriesInstanceUID} == {scan.SeriesInstanceUID for scan in scans.values()}
    assert {mask_made.FrameOfReferenceUID} == {scan.FrameOfReferenceUID for scan in scans.values()}
    assert not any(says_who(path.read_bytes()) for path in files(tmp_path / "out"))


def faults(path: Path) -> Counter[str]:
    ran = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    lines = [line for line in (ran.stdout + ran.stderr).splitlines() if line.startswith("Error")]
    return Counter(re.sub(r"<[^>]*>", "<>", line) for line in lines)


def test_dciodvfy_finds_no_new_error(real_data, deidentify, tmp_path) -> None:
    if shutil.which("dciodvfy") is None:
        pytest.skip("dciodvfy is not installed (Debian: dicom3tools)")
    for name in ("brain-T1post", "hippocampus-crop-1"):
        source = sorted((real_data("dicom") / name).iterdir())[0]
        place = tmp_path / name
        place.mkdir()
        shutil.copy(source, place / "a.dcm")
        assert deidentify(place, tmp_path / f"{name}-out").code == 0
        (made,) = files(tmp_path / f"{name}-out")
        assert faults(made) - faults(source) == Counter()


def test_the_mapping_survives_a_run_that_is_stopped(study, deidentify, tmp_path) -> None:
    """What was written before the disk ended can be followed back."""
    out, key = tmp_path / "out", tmp_path / "key.json"
    out.touch()
    ended = deidentify(study, out / "below", "--mapping", key)
    assert ended.code != 0
    assert CLINIC not in ended.err
    assert key.exists()
    os.unlink(out)
    assert deidentify(study, out, "--mapping", key).code == 0
    names = {path.stem for path in files(out)}
    assert all(name in key.read_text() for name in names)


def test_an_item_that_nobody_expects_loses_its_names(study, deidentify, tmp_path) -> None:
    scan = one(study)
    scan.AnatomicRegionSequence = Sequence(
        [told(CodeValue="T-A0100", CodingSchemeDesignator="SRT", CodeMeaning="Brain")]
    )
    scan.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = Sequence([told(PatientName=PATIENT)])
    save(scan, tmp_path / "in" / "a.dcm")
    assert deidentify(tmp_path / "in", tmp_path / "out").code == 0
    (made,) = read(tmp_path / "out")
    assert made.AnatomicRegionSequence[0].CodeMeaning == "Brain"
    assert not says_who(files(tmp_path / "out")[0].read_bytes())
