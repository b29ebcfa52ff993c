"""What is copied from the scan's header: whom and which study it is about. What is not valid there is left out."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

from pydicom import DataElement, Dataset
from pydicom.config import RAISE
from pydicom.datadict import dictionary_VM, dictionary_VR, tag_for_keyword
from pydicom.valuerep import validate_value

NEEDED = (  # type 2: there, and empty where nothing is known (PS3.3 C.7.1.1, C.7.2.1)
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "StudyID",
    "AccessionNumber",
)
WELCOME = (  # by them a PACS finds patient and study again, and knows what may be done with them
    "IssuerOfPatientID",
    "OtherPatientIDsSequence",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "LongitudinalTemporalInformationModified",
    "IssuerOfAccessionNumberSequence",
    "StudyDescription",
    "ClinicalTrialSponsorName",
    "ClinicalTrialProtocolID",
    "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID",
    "ClinicalTrialSiteName",
    "ClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID",
    "ClinicalTrialTimePointID",
    "ClinicalTrialTimePointDescription",
)
CHOICES = {
    "PatientSex": ("M", "F", "O"),
    "PatientIdentityRemoved": ("YES", "NO"),
    "LongitudinalTemporalInformationModified": ("UNMODIFIED", "MODIFIED", "REMOVED"),
}
AS_TEXT = ("PN", "DS", "IS", "UI")  # pydicom has classes of its own for these
UTF_8 = "ISO_IR 192"


@dataclass(frozen=True, eq=False)
class Patient:
    """Elements of patient and study, all valid, in UTF-8; and the keywords of those that had to be left out."""

    elements: Dataset
    left_empty: tuple[str, ...]  # needed, but absent or not valid
    left_out: tuple[str, ...]  # optional and not valid

    @classmethod
    def of(cls, header: Dataset) -> Patient:
        """What a source image says."""
        elements, empty, out = Dataset(), list[str](), list[str]()
        elements.SpecificCharacterSet = UTF_8
        for keyword in (*NEEDED, *WELCOME):
            element = _valid(header, keyword)
            if element is not None:
                elements.add(element)
            elif keyword in NEEDED:
                elements.add(DataElement(keyword, dictionary_VR(keyword), None))
                empty.append(keyword)
            elif _says_something(header, keyword):
                out.append(keyword)
        return cls(elements, tuple(empty), tuple(out))

    @property
    def notes(self) -> tuple[str, ...]:
        """What was not copied, in words without values."""
        said = (
            ("left empty, since the scan has no valid value", self.left_empty),
            ("left out, since the scan's value is not valid", self.left_out),
        )
        return tuple(f"{words}: {', '.join(keywords)}" for words, keywords in said if keywords)


def _valid(header: Dataset, keyword: str) -> DataElement | None:
    """The element, if it may be written as it is."""
    try:
        if keyword not in header:
            return None
        element = header[keyword]
        if dictionary_VR(keyword) != element.VR:
            return None
        return deepcopy(element) if _is_valid(element, keyword) else None
    except Exception:  # noqa: BLE001 - pydicom raises what it likes on what it cannot decode
        return None


def _says_something(header: Dataset, keyword: str) -> bool:
    try:
        return keyword in header and not header[keyword].is_empty
    except Exception:  # noqa: BLE001 - as above
        return True


def _is_valid(element: DataElement, keyword: str) -> bool:
    if element.VR == "SQ":
        return all(_is_valid(inner, inner.keyword) for item in element.value for inner in item)
    if element.is_empty:
        return keyword in NEEDED
    if element.VM > 1 and dictionary_VM(tag_for_keyword(keyword) or 0) == "1":
        return False
    for value in element.value if element.VM > 1 else [element.value]:
        validate_value(element.VR, str(value) if element.VR in AS_TEXT else value, RAISE)
        if keyword in CHOICES and value not in CHOICES[keyword]:
            return False
    return True
