"""Every text element that DICOM has, with a patient's name in it."""

from io import BytesIO
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted import FIRST, NAME, NUMBER, PATIENT, told
from pydicom import Dataset, dcmwrite
from pydicom.datadict import DicomDictionary, dictionary_VR
from pydicom.dataset import FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from skipseg.training.deidentify.header import deidentified
from skipseg.training.deidentify.profile import Action, action_for
from skipseg.training.deidentify.pseudonyms import Pseudonyms
from skipseg.training.deidentify.remains import Identifiers

TEXTS = ("PN", "LO", "SH", "LT", "ST", "UT", "UC")
TAGS = [tag for tag, about in DicomDictionary.items() if about[0] in TEXTS and tag >> 16 not in (0, 2, 4, 6)]


def scan(**values: object) -> Dataset:
    made = told(SOPClassUID="1.2.840.10008.5.1.4.1.1.4", SOPInstanceUID=generate_uid(), Modality="MR", **values)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return made


def as_file(made: Dataset) -> bytes:
    file = BytesIO()
    dcmwrite(file, made, enforce_file_format=True)
    return file.getvalue()


def test_a_name_in_any_text_is_gone_or_noticed() -> None:
    """The profile keeps some texts, such as the scanner's model: a file is refused that says a name there."""
    told_anyway = 0
    for tag in TAGS:
        planted = scan(PatientName=PATIENT, PatientID=NUMBER)
        planted.add_new(tag, dictionary_VR(tag), f"of {NAME}" if dictionary_VR(tag) != "PN" else PATIENT)
        content = as_file(deidentified(planted, Pseudonyms()))
        is_told = NAME.encode() in content
        assert Identifiers.of(planted).remain_in(content) is is_told, hex(tag)
        told_anyway += is_told
    assert 0 < told_anyway < len(TAGS) / 2


def test_names_and_free_text_are_kept_nowhere() -> None:
    kept = [tag for tag in TAGS if action_for(Tag(tag)) is Action.KEEP]
    assert {"Manufacturer", "SequenceName", "CodeMeaning", "SegmentLabel"} <= {DicomDictionary[tag][4] for tag in kept}
    assert len(kept) < 100
    assert [DicomDictionary[tag][4] for tag in kept if dictionary_VR(tag) in ("PN", "LT", "ST", "UT")] == []


@pytest.mark.parametrize(
    "text", [NAME, NAME.upper(), f"{FIRST} {NAME}", f"{FIRST}{NAME}", f"x{NUMBER}x", "pid 7390021"]
)
def test_names_and_ids_are_found_however_they_are_written(text: str) -> None:
    found = Identifiers.of(scan(PatientName=PATIENT, PatientID=NUMBER))
    assert found.remain_in(as_file(scan(Manufacturer=text)))


@pytest.mark.parametrize("text", ["SIEMENS", "Magnetom", "7390", "Wieders", "VB17A"])
def test_what_is_nobodys_is_not_mistaken(text: str) -> None:
    found = Identifiers.of(scan(PatientName=PATIENT, PatientID=NUMBER))
    assert not found.remain_in(as_file(scan(Manufacturer=text)))


def test_a_scanner_that_stands_at_its_makers_is_no_secret_and_a_hospital_is() -> None:
    made = scan(InstitutionName="TOSHIBA", Manufacturer="TOSHIBA_MEC")
    assert not Identifiers.of(made).remain_in(as_file(deidentified(made, Pseudonyms())))
    made = scan(InstitutionName="Klinik Sonnenhang", ManufacturerModelName="Aera of Klinik Sonnenhang")
    assert Identifiers.of(made).remain_in(as_file(deidentified(made, Pseudonyms())))


def test_a_short_name_is_found_as_a_word_alone() -> None:
    found = Identifiers.of(scan(PatientName="Mary^Ng"))
    assert not found.remain_in(as_file(scan(ImageType=["ORIGINAL", "PRIMARY"])))
    assert found.remain_in(as_file(scan(Manufacturer="Mary's scanner")))


@given(
    st.lists(st.from_regex(r"1\.[1-9][0-9]{0,20}(\.[1-9][0-9]{0,9}){1,3}", fullmatch=True), unique=True, max_size=20)
)
def test_pseudonyms_are_the_same_for_the_same_and_others_for_others(uids: list[str]) -> None:
    ours, again = Pseudonyms(), Pseudonyms()
    new = [ours.uid(uid) for uid in uids]
    assert len(set(new)) == len(uids)
    assert new == [ours.uid(uid) for uid in uids] == [Pseudonyms(ours.secret).uid(uid) for uid in uids]
    assert set(new).isdisjoint(again.uid(uid) for uid in uids)
    assert all(UUID(int=int(uid.removeprefix("2.25."))).version == 4 and len(uid) <= 64 for uid in new)


def test_uids_that_dicom_defines_stay_and_nothing_hides_behind_their_beginning() -> None:
    assert Pseudonyms().uid("1.2.840.10008.1.4.1.1") == "1.2.840.10008.1.4.1.1"
    assert Pseudonyms().uid(f"1.2.840.10008.{NAME}").startswith("2.25.")
    assert Pseudonyms().uid("") == Pseudonyms().patient("") == ""
