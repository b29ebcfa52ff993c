"""A folder tree of DICOM files to one without their patients; what cannot be vouched for is not written."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from pydicom import dcmread, dcmwrite
from pydicom.config import disable_value_validation
from pydicom.filereader import read_file_meta_info
from pydicom.uid import MediaStorageDirectoryStorage

from skipseg.models.durable import write_whole
from skipseg.models.errors import UsageError
from skipseg.models.scans.dicom.parse import check_syntax, is_dicom
from skipseg.models.scans.dicom.parts import HEAD
from skipseg.models.scans.limits import DEFAULT_LIMITS
from skipseg.training.deidentify.header import deidentified
from skipseg.training.deidentify.kinds import Objection, may_show_a_face, objection_to
from skipseg.training.deidentify.pseudonyms import Pseudonyms
from skipseg.training.deidentify.remains import Identifiers

Progress = Callable[[int, int], None]


@dataclass
class Outcome:
    """What became of the files of a folder: their numbers count them in the order of their paths, from 1."""

    files: int
    written: int = 0
    twice: int = 0  # the same file again
    others: int = 0  # no DICOM, or a DICOMDIR: neither read nor copied
    faces: int = 0
    refused: dict[Objection, list[int]] = field(default_factory=lambda: defaultdict(list))


def deidentify_folder(folder: Path, out: Path, pseudonyms: Pseudonyms, progress: Progress) -> Outcome:
    """Write ``out/STUDY/SERIES/INSTANCE.dcm``, named by the new UIDs, for every DICOM file of a tree.

    Links to folders are not followed. Raises ``UsageError`` when one folder lies in the other or there is no DICOM
    file, and ``OSError`` when nothing more can be written.
    """
    _refuse_nested(folder, out)
    files = sorted(_files(folder), key=os.fsencode)
    outcome = Outcome(len(files))
    for number, path in enumerate(files, 1):
        progress(number - 1, len(files))
        _deal_with(path, number, out, pseudonyms, outcome)
    if outcome.others == len(files):
        raise UsageError("the folder holds no DICOM file; name one that does")
    return outcome


def _deal_with(path: Path, number: int, out: Path, pseudonyms: Pseudonyms, outcome: Outcome) -> None:
    done = _made(path, pseudonyms)
    if done is None:
        outcome.others += 1
    elif isinstance(done, Objection):
        outcome.refused[done].append(number)
    elif not (to := done.path(out)).exists():
        to.parent.mkdir(parents=True, exist_ok=True)
        write_whole(to, done.content)
        outcome.written += 1
        outcome.faces += done.may_show_a_face
    elif to.read_bytes() == done.content:
        outcome.twice += 1
    else:
        outcome.refused[Objection.TWICE].append(number)


@dataclass(frozen=True)
class _Made:
    """A file as it would be written."""

    content: bytes
    uids: tuple[str, str, str]  # of study, series and instance
    may_show_a_face: bool

    def path(self, out: Path) -> Path:
        study, series, instance = self.uids
        return out / study / series / f"{instance}.dcm"


def _made(path: Path, pseudonyms: Pseudonyms) -> _Made | Objection | None:
    """None for what is no DICOM. What pydicom says of a bad header may quote it: none of that is passed on."""
    try:
        with disable_value_validation():
            return _made_of(path, pseudonyms)
    except Exception:  # noqa: BLE001 - strangers' files, and one of them must not end the run
        return Objection.UNREADABLE


def _made_of(path: Path, pseudonyms: Pseudonyms) -> _Made | Objection | None:
    with path.open("rb") as file:
        if not is_dicom(file.read(HEAD)):
            return None
        check_syntax(file)
    if read_file_meta_info(path).get("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
        return None
    DEFAULT_LIMITS.check_bytes(path.stat().st_size)
    original = dcmread(path)
    if (objection := objection_to(original)) is not None:
        return objection
    made, whole = deidentified(original, pseudonyms), BytesIO()
    dcmwrite(whole, made, enforce_file_format=True)
    if Identifiers.of(original).remain_in(whole.getvalue()):
        return Objection.STILL_TOLD
    uids = (str(made.StudyInstanceUID), str(made.SeriesInstanceUID), str(made.SOPInstanceUID))
    return _Made(whole.getvalue(), uids, may_show_a_face(original)) if all(uids) else Objection.UNREADABLE


def _files(folder: Path) -> Iterator[Path]:
    for root, _, names in os.walk(folder, onerror=_closed):
        yield from (path for path in (Path(root, name) for name in names) if path.is_file())


def _closed(error: OSError) -> None:
    """A folder that is passed over in silence would be missed too late; its name may be a patient's."""
    raise UsageError(f"a folder inside FOLDER cannot be read ({error.strerror}); check its rights") from None


def _refuse_nested(folder: Path, out: Path) -> None:
    read, written = folder.resolve(), out.resolve()
    if read.is_relative_to(written) or written.is_relative_to(read):
        raise UsageError("FOLDER and --out lie in one another, so that what comes out would be read as what goes in")
