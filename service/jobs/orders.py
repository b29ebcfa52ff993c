"""What can be asked of a job."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from skipseg.models.scans.dicom.choice import GeometryWish, SeriesChoice
from skipseg.models.scans.masks import MASK_FORMATS
from skipseg.service.dicom.nodes import NodeName
from skipseg.service.retraining.order import TrainOrder

Priority = Literal["high", "normal", "low"]
PRIORITIES: dict[Priority, int] = {"high": 1, "normal": 10, "low": 100}  # the lowest number goes first

UploadId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Uid = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)*$", max_length=64)]  # DICOM PS3.5, 9


class _Asked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WebSeries(_Asked):
    """A series of images in a PACS."""

    node: NodeName | None = Field(None, description="of `SKIPSEG_DICOM_NODES`; default: the only one with a url")
    study: Uid = Field(description="StudyInstanceUID")
    series: Uid | None = Field(None, description="SeriesInstanceUID; default: the study's only series of images")


class Inputs(_Asked):
    """Where a job's scans are: exactly one of these."""

    upload: UploadId | None = Field(None, description="an upload: a scan, or a zip of scans")
    uploads: tuple[UploadId, ...] | None = Field(
        None, min_length=1, max_length=10_000, description="several uploads, a scan each"
    )
    folder: str | None = Field(
        None, min_length=1, max_length=4096, description="a folder of scans on the server, under an allowed root"
    )
    files: tuple[Annotated[str, Field(min_length=1, max_length=4096)], ...] | None = Field(
        None, min_length=1, max_length=100_000, description="scans on the server, under an allowed root"
    )
    dicomweb: WebSeries | None = Field(None, description="a series that is fetched from a DICOM node")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [name for name, value in self if value is not None]
        if len(given) != 1:
            names = ", ".join(type(self).model_fields)
            raise ValueError(f"give exactly one of {names}; got {' and '.join(given) or 'none'}")
        return self


class SegmentOptions(_Asked):
    """How scans are segmented."""

    format: str | None = Field(None, description=f"of the masks: {', '.join(MASK_FORMATS)}; default: the scan's own")
    tta: bool = Field(False, description="show mirrored views as well")
    overlap: float | None = Field(None, ge=0, lt=0.95, description="share of a tile that its neighbour covers again")
    series: str | None = Field(
        None, max_length=700, description="of DICOM: the Series Instance UID that is meant, if not every series"
    )
    geometry: GeometryWish = Field(
        "strict", description="resample: interpolate DICOM slices that lie on no regular grid onto one, not refuse them"
    )

    @property
    def choice(self) -> SeriesChoice:
        """Which series of DICOM is read, and how, as far as the order says. Raises ``UsageError``."""
        return SeriesChoice(self.series, self.geometry)

    @model_validator(mode="after")
    def _format_is_known(self) -> Self:
        if self.format is not None and self.format not in MASK_FORMATS:
            raise ValueError(f"a format is one of {', '.join(MASK_FORMATS)}; got {self.format!r}")
        return self


class SegmentOrder(SegmentOptions):
    """Segment many scans with one version of a model: the one that is live now, unless another is named."""

    kind: Literal["segment"]
    model: str | None = Field(None, max_length=80, description="`name` or `name@version`; default: the only live one")
    inputs: Inputs
    priority: Priority = "normal"
    webhook: str | None = Field(
        None, max_length=2000, description="an https URL that is told, signed, when the job has ended"
    )
    send_to: NodeName | None = Field(
        None, description="DICOM node that gets every result: a segmentation and a measurement report"
    )
    reuse: bool = Field(False, description="take the mask of an earlier job for the same content, model and options")

    def settled(self, model: str) -> SettledOrder:
        """The order as it is written down, for one version of a model."""
        asked = hashlib.sha256(self.model_dump_json().encode()).hexdigest()
        kept = self.model_dump(include=set(SettledOrder.model_fields) - {"model"})
        return SettledOrder(model=model, asked=asked, **{**kept, "fetch": self.inputs.dicomweb is not None})


class SettledOrder(SegmentOptions):
    """What is kept of an order beside its scans' names, which may be patients'."""

    model: str  # name@version
    priority: Priority
    webhook: str | None = None
    send_to: str | None = None
    fetch: bool = False  # its scan comes from a DICOM node
    reuse: bool
    asked: str  # sha256 of all that was asked


class TrainJobOrder(TrainOrder):
    """Train a candidate version of a model on a dataset of the server's."""

    kind: Literal["train"]
    webhook: str | None = Field(
        None, max_length=2000, description="an https URL that is told, signed, when the job has ended"
    )


JobOrder = Annotated[SegmentOrder | TrainJobOrder, Field(discriminator="kind")]
