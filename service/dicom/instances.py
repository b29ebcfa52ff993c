"""What a file of ours says it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread


@dataclass(frozen=True)
class Instance:
    """One SOP instance, by its UIDs."""

    study: str
    series: str
    uid: str
    sop_class: str
    transfer_syntax: str


def instance_in(file: Path) -> Instance:
    """The instance that a DICOM file of our own making holds."""
    tags = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"]
    found = dcmread(file, stop_before_pixels=True, specific_tags=tags)
    return Instance(
        study=str(found.StudyInstanceUID),
        series=str(found.SeriesInstanceUID),
        uid=str(found.SOPInstanceUID),
        sop_class=str(found.SOPClassUID),
        transfer_syntax=str(found.file_meta.TransferSyntaxUID),
    )
