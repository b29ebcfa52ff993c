"""Real DICOM files with a patient of ours planted wherever one can be told, and what a test looks for afterwards."""

from pathlib import Path

from pydicom import Dataset, Sequence, dcmread
from pydicom.dataset import FileDataset

NAME, FIRST, NUMBER, ORDER = "Wiedersheim", "Annegret", "PID-7390021", "ACC-55512077"
PATIENT = f"{NAME}^{FIRST}"
TEXT = f"seen by Dr. {NAME}, record {NUMBER}"
BORN, SEEN, STREET, CLINIC = "19521107", "20190314", "Lindenallee 17", "Klinik Sonnenhang"
PLANTED = (NAME, FIRST, NUMBER, ORDER, BORN, SEEN, STREET, CLINIC)


def says_who(data: bytes) -> list[str]:
    """Which of the planted values are told, in letters of 8 or 16 bit, large or small."""
    plain = data.lower()
    kept = (plain, plain.replace(b"\0", b""))
    return [one for one in PLANTED if any(one.lower().encode() in form for form in kept)]


def planted(path: Path) -> FileDataset:
    """A file whose header says who it is in every way that there is."""
    scan = dcmread(path)
    scan.preamble = PATIENT.encode().ljust(128)
    scan.file_meta.SourceApplicationEntityTitle = NAME.upper()
    scan.PatientName, scan.PatientID, scan.PatientBirthDate = PATIENT, NUMBER, BORN
    scan.OtherPatientIDsSequence = Sequence([told(PatientID=NUMBER, TypeOfPatientID="TEXT")])
    scan.PatientAddress, scan.InstitutionName, scan.InstitutionAddress = STREET, CLINIC, STREET
    scan.StudyDate = scan.SeriesDate = scan.AcquisitionDate = scan.ContentDate = scan.InstanceCreationDate = SEEN
    scan.AcquisitionDateTime = f"{SEEN}101500"
    scan.AccessionNumber, scan.StudyID = ORDER, ORDER
    scan.ReferringPhysicianName = scan.OperatorsName = scan.EvaluatorName = PATIENT  # the table lacks the last
    scan.StudyDescription = scan.SeriesDescription = scan.ProtocolName = scan.StationName = NAME
    scan.PatientComments = scan.ImageComments = scan.AdditionalPatientHistory = TEXT
    scan.PatientBirthDateInAlternativeCalendar = scan.WorklistLabel = TEXT  # nor these
    scan.DetectorDescription = scan.AcquisitionContextDescription = TEXT
    scan.RequestAttributesSequence = Sequence([told(RequestedProcedureID=ORDER, RequestedProcedureDescription=TEXT)])
    deep = told(PatientName=PATIENT, CodeValue="121311", CodingSchemeDesignator="DCM", CodeMeaning="Localizer")
    deep.private_block(0x0011, NAME, create=True).add_new(1, "LO", PATIENT)
    reference = told(ReferencedSOPClassUID=scan.SOPClassUID, ReferencedSOPInstanceUID=scan.SOPInstanceUID)
    reference.PurposeOfReferenceCodeSequence, reference.StudyDate = Sequence([deep]), SEEN
    scan.SourceImageSequence = Sequence([reference])
    private = scan.private_block(0x0009, "SOMEBODY", create=True)
    private.add_new(1, "LO", PATIENT)
    private.add_new(2, "UN", PATIENT.encode() + b" ")
    private.add_new(3, "SQ", Sequence([told(PatientName=PATIENT)]))
    scan.add_new(0x0018BBBB, "LO", PATIENT)  # which no dictionary knows
    scan.add_new(0x60000022, "LO", PATIENT)
    scan.add_new(0x50000022, "LO", PATIENT)
    scan.add_new(0xFFFCFFFC, "OB", PATIENT.encode() + b" ")
    scan.DeidentificationMethod = PATIENT
    claimed = told(CodeValue="113101", CodingSchemeDesignator="DCM", CodeMeaning="Clean Pixel Data Option")
    scan.DeidentificationMethodCodeSequence = Sequence([claimed])
    return scan


def told(**values: object) -> Dataset:
    """An item of a sequence."""
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def save(scan: Dataset, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    scan.save_as(path, enforce_file_format=True)
    return path
