"""What travels as JSON about datasets."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from skipseg.models.labels import Label
from skipseg.service.datasets.contents import CaseFiles, CaseName, Contents, TrailEntry
from skipseg.service.schemas import Answered
from skipseg.training.datasets.defects import Defect

Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class NewDataset(BaseModel):
    """A dataset from an uploaded zip, or an empty one to be filled case by case."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=63)
    upload: str | None = Field(default=None, max_length=64, description="id of an uploaded zip of a dataset")
    labels: dict[Text, int | Text | list[int]] | None = Field(
        default=None, max_length=1000, description='`{"1": "Anterior"}` or `{"Anterior": 1}`'
    )
    channels: list[Text] | None = Field(default=None, min_length=1, max_length=64, description="their names, in order")

    @model_validator(mode="after")
    def _is_one_of_both(self) -> NewDataset:
        if (self.upload is None) is (self.labels is None or self.channels is None):
            raise ValueError("give either upload, or labels and channels")
        return self


class Freeze(BaseModel):
    """Which cases to freeze; none named: a fifth is drawn."""

    model_config = ConfigDict(extra="forbid")

    cases: list[CaseName] | None = Field(default=None, min_length=1, max_length=100_000)


class CaseAnswer(Answered):
    """One case: what it is known by, and whether models are validated on it."""

    name: str
    image_sha256: str
    label_sha256: str
    frozen: bool

    @classmethod
    def of(cls, name: str, files: CaseFiles, contents: Contents) -> CaseAnswer:
        frozen = contents.kept.frozen
        is_frozen = frozen is not None and name in frozen.cases
        return cls(name=name, image_sha256=files.image, label_sha256=files.label, frozen=is_frozen)


class DatasetSummary(Answered):
    """One dataset; the checksum is that which bundles trained on it record."""

    name: str
    revision: int
    channels: tuple[str, ...]
    labels: tuple[Label, ...]
    case_count: int
    frozen_count: int
    checksum: str

    @classmethod
    def of(cls, contents: Contents) -> DatasetSummary:
        return cls(**_summary(contents))  # type: ignore[arg-type]


class FrozenAnswer(Answered):
    """The validation set: when it was chosen, and by whom."""

    made: datetime
    by: str
    cases: tuple[str, ...]


class DatasetDetails(DatasetSummary):
    """One dataset with its cases, and everything that was ever changed in it."""

    cases: tuple[CaseAnswer, ...]
    frozen: FrozenAnswer | None
    defects: tuple[Defect, ...] | None  # None: not looked for
    trail: tuple[TrailEntry, ...]

    @classmethod
    def about(cls, contents: Contents, trail: list[TrailEntry], defects: list[Defect] | None = None) -> DatasetDetails:
        frozen = contents.kept.frozen
        return cls(
            **_summary(contents),  # type: ignore[arg-type]
            cases=tuple(CaseAnswer.of(name, files, contents) for name, files in sorted(contents.kept.cases.items())),
            frozen=FrozenAnswer(made=frozen.made, by=frozen.by, cases=tuple(frozen.cases)) if frozen else None,
            defects=None if defects is None else tuple(defects),
            trail=tuple(trail),
        )


def _summary(contents: Contents) -> dict[str, object]:
    frozen = contents.kept.frozen
    return {
        "name": contents.name,
        "revision": contents.revision,
        "channels": contents.channels,
        "labels": contents.named_labels.all,
        "case_count": len(contents.kept.cases),
        "frozen_count": len(frozen.cases) if frozen else 0,
        "checksum": contents.checksum(),
    }
