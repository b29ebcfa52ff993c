"""What a kept dataset's ``dataset.json`` holds: a table of cases that training reads, and what else is known of them.

DATA/datasets/NAME/dataset.json                           replaced in one step by every change
DATA/datasets/NAME/imagesTr/CHECKSUM/CASE_0000.nii.gz     files are never changed, a new version has its own folder
DATA/datasets/NAME/labelsTr/CHECKSUM/CASE.nii.gz          a former label stays; nothing names it but the trail
DATA/datasets/NAME/trail.jsonl                            who changed what, and when
DATA/datasets/NAME/thumbnails                             small pictures of cases, drawn when somebody looked
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from skipseg.models.errors import DatasetUnknown
from skipseg.models.labels import Labels
from skipseg.training.datasets.description import Description, Group

CASE_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
CASE_RULE = "1 to 64 letters, digits, - and _"
THUMBNAILS = "thumbnails"
CaseName = Annotated[str, StringConstraints(pattern=rf"^{CASE_NAME.pattern}$")]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CaseFiles(_Frozen):
    """What a case's files hold."""

    images: tuple[str, ...]  # SHA-256 of each file's bytes
    voxels: tuple[str, ...]  # of what each image file holds, however it is stored
    label: str  # SHA-256 of its bytes

    @property
    def image(self) -> str:
        """What training knows the case by: ``training.datasets.dataset.image_checksum``."""
        return hashlib.sha256(b"".join(map(bytes.fromhex, self.images))).hexdigest()


class FrozenSet(_Frozen):
    """The cases that models of a dataset are validated on, and that none of them learns from."""

    made: datetime
    by: str
    cases: dict[str, str]  # by name, the checksum of its images


class TrailEntry(_Frozen):
    """One change of a dataset."""

    revision: int
    when: datetime
    who: str
    what: Literal["created", "imported", "case added", "case replaced", "case removed", "frozen"]
    case: str | None = None
    before: CaseFiles | None = None
    after: CaseFiles | None = None
    cases: dict[str, CaseFiles] | None = None  # of an import
    frozen: dict[str, str] | None = None


class Kept(_Frozen):
    """What training does not read."""

    cases: dict[str, CaseFiles] = {}
    frozen: FrozenSet | None = None
    last: TrailEntry  # the change that led here: the trail is mended from it after a crash


class Contents(_Frozen):
    """``dataset.json``, as nnU-Net v2 writes it, with a table of its files."""

    name: str
    description: str = ""
    reference: str = ""
    licence: str = ""
    channel_names: dict[str, str]
    labels: dict[str, str]
    foreground: Literal["any"] | None = None
    groups: dict[str, str] = {}
    dataset: dict[str, Group] = {}
    kept: Kept = Field(alias="skipseg")

    @property
    def channels(self) -> tuple[str, ...]:
        return tuple(self.channel_names.values())

    @property
    def named_labels(self) -> Labels:
        return Labels.from_names({int(value): name for value, name in self.labels.items()})

    @property
    def revision(self) -> int:
        return self.kept.last.revision

    def files_of(self, case: str) -> CaseFiles:
        """What a case's files hold; raises ``DatasetUnknown``."""
        if (files := self.kept.cases.get(case)) is None:
            raise DatasetUnknown("the dataset has no such case; GET /v1/datasets/NAME lists those it has")
        return files

    def checksum(self) -> str:
        """That of ``training.datasets.dataset.checksum``, from what is known already."""
        total = hashlib.sha256()
        for name, files in sorted(self.kept.cases.items()):
            for role, digest in enumerate((*files.images, files.label)):
                total.update(f"{name}\0{role}\0{len(files.images)}\0".encode())
                total.update(bytes.fromhex(digest))
        return total.hexdigest()

    def changed(self, entry: TrailEntry, table: Mapping[str, Group] | None = None, **changes: object) -> Contents:
        """The contents after a change, which is ``entry``; ``changes`` are fields of ``Kept``."""
        table = self.dataset if table is None else dict(table)
        groups = {case: group for case, group in self.groups.items() if case in table}
        kept = self.kept.model_copy(update={**changes, "last": entry})
        return self.model_copy(update={"dataset": table, "groups": groups, "kept": kept})

    def text(self) -> str:
        """The file."""
        return self.model_dump_json(indent=1, by_alias=True)


def described(name: str, about: Description, channels: tuple[str, ...], labels: Labels, last: TrailEntry) -> Contents:
    """The contents of a dataset without cases."""
    return Contents(
        name=name,
        description=about.description,
        reference=about.reference,
        licence=about.licence,
        channel_names={str(number): channel for number, channel in enumerate(channels)},
        labels={str(label.value): label.name for label in labels.all},
        foreground=about.foreground,
        groups=dict(about.groups),
        skipseg=Kept(last=last),
    )


def entry(revision: int, who: str, what: str, **details: object) -> TrailEntry:
    """A change that is made now."""
    return TrailEntry.model_validate(
        {"revision": revision, "when": datetime.now(UTC), "who": who, "what": what, **details}
    )
