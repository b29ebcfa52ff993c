"""A second look, which trusts nothing of the first: does what would be written still say who it is?

What identified the patient in the original (names, ids, dates, UIDs) is looked for in every text of the new file and in
its bytes. It knows nothing of the profile, so that a mistake there does not go by here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

from pydicom import Dataset, dcmread
from pydicom.dataelem import DataElement

from skipseg.training.deidentify.profile import KINDS, is_of_the_standard

LEAST = 4  # characters; shorter ones are everywhere
CERTAIN = 6  # as many are found inside of words and in bytes as well
CHANCELESS = 12  # characters of a number or a UID; fewer turn up by chance among those of new UIDs
_ID_KEYWORDS = (
    "PatientID OtherPatientIDs IssuerOfPatientID PatientBirthName PatientMotherBirthName PatientAddress "
    "PatientTelephoneNumbers PatientTelecomInformation MilitaryRank MedicalRecordLocator InsurancePlanIdentification "
    "AccessionNumber StudyID AdmissionID ServiceEpisodeID RequestedProcedureID ScheduledProcedureStepID "
    "PerformedProcedureStepID FillerOrderNumberImagingServiceRequest PlacerOrderNumberImagingServiceRequest "
    "InstitutionName InstitutionAddress ReferringPhysicianAddress ReferringPhysicianTelephoneNumbers "
    "ClinicalTrialSubjectID ResponsibleOrganization PersonAddress PersonTelephoneNumbers"
)
_IDS = frozenset(_ID_KEYWORDS.split())
_DATES = frozenset({"DA", "DT"})
_NUMBERS = frozenset({"DS", "IS"})
_TEXTS = frozenset({"AE", "AS", "CS", "DA", "DT", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UR", "UT"})
_NOBODY = frozenset({"anonymized", "anonymous", "anonymised", "unknown", "none"})
_NO_DATES = ("0001", "1900")  # years that stand for "unknown"
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Identifiers:
    """What of one object tells whose it is."""

    words: frozenset[str]  # names, ids and dates in small letters, looked for as words
    certain: frozenset[str]  # those of them that are looked for inside of words as well
    uids: frozenset[str]

    @classmethod
    def of(cls, original: Dataset) -> Identifiers:
        """Those of an object that may hold anything; placeholders that stand for nobody are left out."""
        told = frozenset(one for one in _told(original) if len(one) >= LEAST and one not in _NOBODY)
        certain = frozenset(one for one in told if len(one) >= CERTAIN and len(set(one)) >= LEAST)
        return cls(told, certain, frozenset(_uids(original)))

    def remain_in(self, written: bytes) -> bool:
        """Whether a file that would be written still tells one of them."""
        return any(map(self._is_told_by, _elements(dcmread(BytesIO(written))))) or self._is_in(written)

    def _is_told_by(self, element: DataElement) -> bool:
        if element.VR == "UI":
            return not self.uids.isdisjoint(_values(element))
        if element.VR in _NUMBERS:
            return any(_squeezed(one) in self.certain for one in _values(element))
        return element.VR in _TEXTS and any(map(self._is_said, _values(element)))

    def _is_said(self, text: str) -> bool:
        squeezed = _squeezed(text)
        is_word = squeezed in self.words or not self.words.isdisjoint(_WORD.findall(text.casefold()))
        return is_word or any(one in squeezed for one in self.certain)

    def _is_in(self, data: bytes) -> bool:
        """In the bytes of the file, pixels and all: names and UIDs. Short digits turn up there by chance."""
        letters = {one for one in self.certain if not one.isdigit() or len(one) >= CHANCELESS}
        lowered, long = data.lower(), {uid for uid in self.uids if len(uid) >= CHANCELESS}
        return any(one.encode() in lowered for one in letters | long)


def _told(original: Dataset) -> Iterator[str]:
    maker = _squeezed(str(original.get("Manufacturer") or ""))
    for element in _elements(original):
        for value in _values(element):
            if element.VR == "PN":
                yield from (_squeezed(value), *_WORD.findall(value.casefold()))
            elif element.keyword == "InstitutionName" and _squeezed(value) in maker:
                continue  # a scanner at its maker's: whose name may stay
            elif element.keyword in _IDS:
                yield _squeezed(value)
            elif element.VR in _DATES and not value.startswith(_NO_DATES):
                yield _squeezed(value)[:8]


def _uids(original: Dataset) -> Iterator[str]:
    for element in _elements(original):
        if element.VR == "UI" and not element.keyword.endswith(KINDS):
            yield from (uid for uid in _values(element) if not is_of_the_standard(uid))


def _elements(header: Dataset) -> Iterator[DataElement]:
    """All of a header and of its items. What cannot be decoded tells nothing that could be looked for."""
    for tag in list(header.keys()):
        try:
            element = header[tag]
        except Exception:  # noqa: BLE001 - pydicom says in many ways that a value is none of its kind
            continue
        if element.VR == "SQ":
            for item in element.value:
                yield from _elements(item)
        else:
            yield element


def _values(element: DataElement) -> list[str]:
    if element.is_empty:
        return []
    return [str(one) for one in element.value] if element.VM > 1 else [str(element.value)]


def _squeezed(text: str) -> str:
    return "".join(_WORD.findall(text.casefold()))
