"""One DICOM object without its patient: a new header made of what may stay, over the same pixels."""

from __future__ import annotations

from collections.abc import Iterator

from dicomanonymizer.simpledicomanonymizer import empty_element, replace_element
from pydicom import Dataset, Sequence
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.multival import MultiValue
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import PYDICOM_IMPLEMENTATION_UID

from skipseg.training.deidentify.profile import EDITION, PATIENT_NAME, Action, action_for
from skipseg.training.deidentify.pseudonyms import Pseudonyms

TEXT = frozenset(
    {"AE", "AS", "DA", "DT", "LO", "LT", "OB", "PN", "SH", "ST", "TM", "UC", "UN", "UR", "UT"}
)  # and bytes
NO_TIME = {"DA": "19000101", "DT": "19000101000000", "TM": "000000"}  # where there must be one
METHOD = f"skipseg, PS3.15 {EDITION} Basic Profile"
BASIC_PROFILE = codes.DCM.BasicApplicationConfidentialityProfile  # 113100; no option of the profile is applied


def deidentified(object_: Dataset, pseudonyms: Pseudonyms) -> FileDataset:
    """A new object by the basic profile; ``object_`` stays as it is, and lends its pixels.

    The codes of what was done to it before are replaced by what is done now: nothing else can be vouched for.
    """
    made = FileDataset("", _cleaned(object_, pseudonyms), preamble=bytes(128), file_meta=FileMetaDataset())
    made.PatientIdentityRemoved = "YES"
    made.DeidentificationMethod = METHOD
    made.DeidentificationMethodCodeSequence = Sequence([_coded(BASIC_PROFILE)])
    made.LongitudinalTemporalInformationModified = "REMOVED"
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.file_meta.TransferSyntaxUID = object_.file_meta.TransferSyntaxUID
    made.file_meta.ImplementationClassUID = PYDICOM_IMPLEMENTATION_UID
    return made


def _cleaned(header: Dataset, pseudonyms: Pseudonyms) -> Dataset:
    cleaned = Dataset()
    for element in _stays(header, pseudonyms):
        cleaned.add(element)
    return cleaned


def _stays(header: Dataset, pseudonyms: Pseudonyms) -> Iterator[DataElement]:
    for tag in list(header.keys()):
        action = action_for(tag)
        if action is Action.REMOVE:  # which need not be readable
            continue
        element = header[tag]
        if element.VR not in TEXT or element.VR in dictionary_VR(tag):  # no text where a number belongs
            yield _changed(header, element, action, pseudonyms)


def _changed(header: Dataset, element: DataElement, action: Action, pseudonyms: Pseudonyms) -> DataElement:
    if action is Action.PATIENT:
        pseudonym = pseudonyms.patient(str(header.get("PatientID") or "").strip())
        return _with(element, f"{pseudonym}^" if pseudonym and element.tag == PATIENT_NAME else pseudonym)
    if action is Action.UID or (action is Action.REPLACE and element.VR == "UI"):
        return _with(element, _uids(element.value, pseudonyms))
    if element.VR == "SQ":
        kept = () if action is Action.EMPTY else element.value
        return _with(element, Sequence([_cleaned(item, pseudonyms) for item in kept]))
    if action is Action.KEEP or element.is_empty:
        return element
    return _blanked(element, action)


def _blanked(element: DataElement, action: Action) -> DataElement:
    """Dates and times are not left to the library, which fills those as well that may be empty."""
    blank = _with(element, element.value)
    if element.VR in NO_TIME:
        blank.value = "" if action is Action.EMPTY else NO_TIME[element.VR]
    elif action is Action.EMPTY:
        empty_element(blank)
    else:
        replace_element(blank)
    return blank


def _uids(value: object, pseudonyms: Pseudonyms) -> object:
    if isinstance(value, MultiValue | list | tuple):
        return [pseudonyms.uid(str(one)) for one in value]
    return pseudonyms.uid(str(value or ""))


def _with(element: DataElement, value: object) -> DataElement:
    return DataElement(element.tag, element.VR, value)


def _coded(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item
