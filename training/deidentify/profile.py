"""What becomes of each element of a header: the basic profile of PS3.15, annex E, as ``dicom-anonymizer`` tabulates it.

The table leaves a choice where an element may be absent in one kind of object and is needed in another: a value of no
meaning is put in its place then, which is right in both. Beyond the table, what could name somebody although the
standard does not expect it there goes as well: private elements, elements that no dictionary knows, names, dates and
free text that the table does not have; short texts stay where they are technical.
"""

from __future__ import annotations

import re
from enum import Enum
from functools import cache

from dicomanonymizer.dicomfields_selector import dicom_anonymization_database_selector
from pydicom.datadict import dictionary_has_tag, dictionary_keyword, dictionary_VR
from pydicom.tag import BaseTag

EDITION = "2026c"  # of PS3.15, whose table is used


class Action(Enum):
    """What is done with one element."""

    KEEP = "kept; of a sequence, its items are gone through"
    REMOVE = "removed"
    EMPTY = "emptied"
    REPLACE = "a value of no meaning in its place"
    UID = "another UID in its place, the same for the same one"
    PATIENT = "a pseudonym in its place"


PATIENT_ID, PATIENT_NAME = (0x0010, 0x0020), (0x0010, 0x0010)
_OURS = {
    PATIENT_ID: Action.PATIENT,
    PATIENT_NAME: Action.PATIENT,
    (0x0040, 0x0555): Action.EMPTY,  # AcquisitionContextSequence: X/Z, and needed in some objects
    (0x0062, 0x0020): Action.REPLACE,  # TrackingID: free text that must be there where TrackingUID is
}
_BY_LETTERS = {
    "X_TAGS": Action.REMOVE,
    "Z_TAGS": Action.EMPTY,
    "D_TAGS": Action.REPLACE,
    "U_TAGS": Action.UID,
    "Z_D_TAGS": Action.REPLACE,
    "X_Z_TAGS": Action.EMPTY,
    "X_D_TAGS": Action.REPLACE,
    "X_Z_D_TAGS": Action.REPLACE,
    "X_Z_U_STAR_TAGS": Action.KEEP,  # references, whose UIDs are replaced like all others
}
_NAMES_AND_DATES = frozenset({"PN", "DA", "DT", "TM", "AS"})
_FREE_TEXT = frozenset({"ST", "LT", "UT", "UR", "AE"})
_SHORT_TEXT = frozenset({"LO", "SH", "UC"})
_TECHNICAL = re.compile(  # short texts beyond the table that may stay: of the scanner and its ways, codes, and segments
    r".*Manufacturer(Name|ModelName)?|.*ModelName|ManufacturerModelVersion|.*SoftwareVersions?|Application(Name|Version)"
    r"|Code(Value|Meaning)|CodingScheme.*|ExtendedCodeValue|LongCodeValue|MappingResourceName|Dimension.*|.*PrivateCreator"
    r"|(Pulse)?SequenceName|ImagedNucleus|.*Coil.*|ConvolutionKernel|.*Filters?|FilterType|ImageGeometryType|ASL.*"
    r"|Acquisition(Mode|DeviceProcessingCode)|.*CorrectionMethod|ReconstructionMethod|DetectorLinesOfResponseUsed"
    r"|ContrastBolusRoute|Radionuclide|Radiopharmaceutical(Route)?|CollimatorGridName|CardiacFramingType|PVCRejection"
    r"|TriggerSourceOrType|PositionReferenceIndicator|StackID|RescaleType|ModalityLUTType|EnergyWindowName|DoseModeName"
    r"|PlateType|PhosphorType|Segment(Label|AlgorithmName)|Algorithm(Name|Version|Source)"
)
_NEEDED_TEXT = (0x0008, 0x0120)  # URNCodeValue: a code that is an address
GRAPHICS = (0x5000, 0x6000)  # repeating groups of curves and overlays: often text, drawn
KINDS = ("ClassUID", "TransferSyntaxUID", "CodingSchemeUID")  # UIDs of what something is, not of which one
_STANDARD = re.compile(r"1\.2\.840\.10008\.[0-9.]{1,50}")


def is_of_the_standard(uid: str) -> bool:
    """Whether DICOM itself defines a UID: a kind of object or a well-known frame of reference, and nobody's."""
    return _STANDARD.fullmatch(uid) is not None


def action_for(tag: BaseTag) -> Action:
    """What is done with the element of a tag, wherever in a header it stands."""
    key = (tag.group, tag.element)
    if tag.is_private or tag.element == 0 or tag.group & 0xFF00 in GRAPHICS or not dictionary_has_tag(tag):
        return Action.REMOVE  # element 0: the length of a group, which no longer holds
    if (action := _OURS.get(key) or _table().get(key)) is not None:
        return action
    return _beyond_the_table(key, dictionary_VR(tag))


def _beyond_the_table(key: tuple[int, int], vr: str) -> Action:
    keyword = dictionary_keyword(key)
    if vr == "UI":
        return Action.KEEP if keyword.endswith(KINDS) else Action.UID
    if vr in _NAMES_AND_DATES or (vr in _FREE_TEXT and key != _NEEDED_TEXT):
        return Action.REMOVE
    if vr in _SHORT_TEXT and not _TECHNICAL.fullmatch(keyword):
        return Action.REPLACE if keyword.endswith("Label") else Action.EMPTY  # labels must not be empty, mostly
    return Action.KEEP


@cache
def _table() -> dict[tuple[int, int], Action]:
    tags = dicom_anonymization_database_selector(f"dicomfields_{EDITION}")
    return {
        tag: _of_sequence(letters) if _is_sequence(tag) else action
        for letters, action in _BY_LETTERS.items()
        for tag in tags[letters]
        if len(tag) == 2  # the others are curves and overlays
    }


def _of_sequence(letters: str) -> Action:
    """A sequence is never filled with values of no meaning: it goes where it may, and has no items where it may not."""
    if letters == "X_Z_U_STAR_TAGS":
        return Action.KEEP
    return Action.REMOVE if letters.startswith("X") else Action.EMPTY


def _is_sequence(tag: tuple[int, int]) -> bool:
    return dictionary_has_tag(tag) and dictionary_VR(tag) == "SQ"
