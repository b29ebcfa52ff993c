"""Made-up DICOM series with known UIDs, those who send them, and a listener to send them to."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, MRImageStorage, generate_uid
from pynetdicom import AE
from servers import end, environment

STORESCU, ECHOSCU = Path("/usr/bin/storescu"), Path("/usr/bin/echoscu")  # dcmtk's: pynetdicom has others in the venv
PATIENT = "Quillfeather^Ottoline"
PATIENCE_S = 180.0

needs_dcmtk = pytest.mark.skipif(not STORESCU.exists(), reason="dcmtk's storescu is not installed")


def short_uid() -> str:
    """With room for a number at its end."""
    return generate_uid()[:48].rstrip(".")


@dataclass(frozen=True)
class MadeUp:
    """A series and its instances, in the order of their slices."""

    study: str = field(default_factory=short_uid)
    series: str = field(default_factory=short_uid)
    frame: str = field(default_factory=generate_uid)
    modality: str = "MR"
    description: str = "T1 MPRAGE sag"
    body_part: str = "BRAIN"
    sop_class: str = MRImageStorage
    size: int = 24

    def instance(self, number: int) -> Dataset:
        """One slice, 3 mm above the one before."""
        found = Dataset()
        found.file_meta = FileMetaDataset()
        found.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        found.SOPClassUID, found.SOPInstanceUID = self.sop_class, UID(f"{self.series}.{number + 1}")
        found.StudyInstanceUID, found.SeriesInstanceUID = self.study, self.series
        found.FrameOfReferenceUID = self.frame
        found.PatientName, found.PatientID, found.PatientBirthDate = PATIENT, "QF-1963-77", "19630214"
        found.StudyDate, found.StudyTime, found.StudyID, found.AccessionNumber = "20260302", "101500", "S7", "A-88-17"
        found.PatientSex, found.ReferringPhysicianName = "O", "Brackenwood^Ida"
        found.Manufacturer, found.SeriesNumber, found.InstanceNumber = "none", 3, number + 1
        found.Modality, found.SeriesDescription, found.BodyPartExamined = (
            self.modality,
            self.description,
            self.body_part,
        )
        found.ImageType, found.ImageOrientationPatient = ["ORIGINAL", "PRIMARY"], [1, 0, 0, 0, 1, 0]
        found.ImagePositionPatient, found.PixelSpacing, found.SliceThickness = [-11, -12, 3.0 * number], [1, 1], 3
        found.Rows = found.Columns = self.size
        found.SamplesPerPixel, found.PhotometricInterpretation = 1, "MONOCHROME2"
        found.BitsAllocated, found.BitsStored, found.HighBit, found.PixelRepresentation = 16, 12, 11, 0
        chance = np.random.default_rng(number)
        found.PixelData = chance.integers(0, 1000, (self.size, self.size), np.uint16).tobytes()
        return found

    def write(self, folder: Path, count: int = 22, first: int = 0) -> list[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / f"{number:03}.dcm" for number in range(first, first + count)]
        for number, path in enumerate(paths, first):
            self.instance(number).save_as(path, enforce_file_format=True)
        return paths


def storescu(port: int, *paths: Path, title: str = "CT1", called: str = "SKIPSEG", more: tuple[str, ...] = ()):
    """Send files in one association, in this order; rc 0: each was answered with success."""
    command = [STORESCU, "-aet", title, "-aec", called, *more, "127.0.0.1", str(port), *paths]
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=PATIENCE_S, check=False)


def statuses(port: int, *instances: Dataset, announced: str | None = None) -> list[int]:
    """What each of some instances is answered; ``announced`` is the UID that is named in the requests instead."""
    entity = AE("CT1")
    for sop_class in {instance.SOPClassUID for instance in instances}:
        entity.add_requested_context(sop_class, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", port, ae_title="SKIPSEG")
    assert association.is_established
    try:
        return [association.send_c_store(instance).get("Status", -1) for instance in instances]
    finally:
        association.release()


@dataclass
class Listening:
    """A listener in a process of its own."""

    data: Path
    process: subprocess.Popen
    port: int

    @property
    def log(self) -> Path:
        return self.data / "listener.log"

    def events(self, name: str) -> list[dict]:
        return [line for line in lines_of(self.log) if line.get("event") == name]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextmanager
def listening(
    data: Path,
    rules: Path,
    program: str | None = None,
    port: int = 0,
    beside: tuple[str, ...] = (),
    **settings: object,
) -> Iterator[Listening]:
    """``program``: Python code that runs the command line, in place of ``skipseg``; ``beside``: what runs a command.

    A series is quiet after 3 seconds: a busy machine may well stop for one between two instances.
    """
    data.mkdir(parents=True, exist_ok=True)
    log, before = data / "listener.log", len(lines_of(data / "listener.log"))
    start = [*beside, sys.executable, *(["-c", program] if program else ["-m", "skipseg"])]
    command = [*start, "dicom", "listen", "--port", str(port), "--rules", str(rules), "--data", str(data)]
    with log.open("a") as stderr:
        process = subprocess.Popen(command, stderr=stderr, env=environment({"dicom_quiet_s": 3, **settings}))
    try:
        until(lambda: process.poll() is not None or any(is_listening(line) for line in lines_of(log)[before:]))
        assert process.poll() is None, log.read_text()
        port = next(int(line["port"]) for line in lines_of(log)[before:] if is_listening(line))
        yield Listening(data, process, port)
    finally:
        end(process)


def is_listening(line: dict) -> bool:
    return line.get("event") == "listening"


def lines_of(log: Path) -> list[dict]:
    if not log.exists():
        return []
    return [json.loads(line) for line in log.read_text().splitlines(keepends=True) if line.endswith("}\n")]


def until(holds, within: float = PATIENCE_S) -> None:
    ends = time.monotonic() + within
    while not holds():
        assert time.monotonic() < ends, "it did not come to pass"
        time.sleep(0.05)


def everything_under(folder: Path) -> str:
    """Names of files, and all text in those that are no pixels."""
    found = []
    for path in folder.rglob("*"):
        found.append(str(path.relative_to(folder)))
        if path.is_file() and path.suffix != ".dcm" and path.name != "content":  # which hold instances
            found.append(path.read_bytes().decode("latin-1"))
    return os.linesep.join(found)
