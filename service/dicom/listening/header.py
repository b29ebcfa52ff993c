"""What is looked at of an instance: which series it belongs to, and what rules ask about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import FileDataset

from skipseg.models.errors import ScanCorrupt

UID = re.compile(r"[0-9]+(\.[0-9]+)*")
LONGEST_UID, LONGEST_TEXT = 64, 64  # PS3.5 6.2: UI; LO and CS hold no more
TAGS = [
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "Modality",
    "SeriesDescription",
    "BodyPartExamined",
]


@dataclass(frozen=True)
class InstanceHeader:
    """A few attributes of one SOP instance; the texts are empty where it has none."""

    sop_class: str
    instance: str
    study: str
    series: str
    modality: str
    description: str
    body_part: str


def read_header(path: Path) -> InstanceHeader:
    """Read what lies before the pixels, and keep these few; raises ``ScanCorrupt``, and ``OSError``."""
    try:
        dataset = dcmread(path, stop_before_pixels=True, specific_tags=TAGS)
        uids = [_uid(dataset, name) for name in TAGS[:4]]
        texts = [_text(dataset, name) for name in TAGS[4:]]
    except OSError:
        raise
    except Exception as error:  # pydicom raises whatever it stumbles over
        raise ScanCorrupt("this is no DICOM instance with the UIDs of its study, series and itself") from error
    return InstanceHeader(*uids, *texts)


def _uid(dataset: FileDataset, name: str) -> str:
    value = str(dataset[name].value)
    if len(value) > LONGEST_UID or not UID.fullmatch(value):
        raise ValueError(name)
    return value


def _text(dataset: FileDataset, name: str) -> str:
    value = dataset.get(name) or ""
    several = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    return " ".join(str(one) for one in several)[:LONGEST_TEXT].strip()
