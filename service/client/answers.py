"""What the server answers, as far as clients need it; fields that a newer server adds are kept out of the way."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

JobState = Literal["queued", "running", "succeeded", "failed", "cancelled"]
ItemState = Literal["queued", "running", "done", "failed", "cancelled"]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ExpectedInput(_Answer):
    """What a scan must be for a model."""

    dimensions: int
    channels: tuple[str, ...]


class Label(_Answer):
    """What a value of a mask means."""

    value: int
    name: str


class Model(_Answer):
    """One name of the registry; of a model whose bundle is damaged there is no ``input``."""

    name: str
    versions: tuple[int, ...]
    live: int | None
    state: str
    task: str | None = None
    input: ExpectedInput | None = None
    labels: tuple[Label, ...] = ()
    metrics: dict[str, float | None] = {}


class ModelList(_Answer):
    models: tuple[Model, ...]


class Limits(_Answer):
    """Bounds on one request."""

    upload_bytes: int
    voxels: int
    channels: int


class Info(_Answer):
    """What a server is."""

    version: str
    device: str
    models: tuple[str, ...]
    formats: tuple[str, ...]
    limits: Limits


class Upload(_Answer):
    """A file that the server keeps for later calls, until it expires."""

    id: str
    kind: str
    bytes: int
    sha256: str


class Progress(_Answer):
    """How many scans have their mask, how many have failed, of how many."""

    done: int
    failed: int
    total: int


class Deliveries(_Answer):
    """How many scans' results are on their way to a DICOM node, have arrived there, or are not sent any more."""

    pending: int = 0
    sent: int = 0
    given_up: int = 0


class Job(_Answer):
    """Where a job stands; one that succeeded may have scans that failed, which ``progress`` counts."""

    id: str
    kind: str
    state: JobState
    model: str | None = None
    progress: Progress
    eta_s: float | None = None
    made: datetime
    started: datetime | None = None
    ended: datetime | None = None
    delivery: Deliveries | None = None


class JobList(_Answer):
    jobs: tuple[Job, ...]


class Sent(_Answer):
    """The results of a scan on their way to a DICOM node; ``problem`` is that of the last try."""

    node: str
    state: Literal["pending", "sent", "given_up"]
    when: datetime
    code: str | None = None
    problem: str | None = None


class Item(_Answer):
    """What became of one scan; ``problem`` says why there is no mask, ``code`` the same for programs."""

    item: int
    name: str
    state: ItemState
    code: str | None = None
    problem: str | None = None
    mask_sha256: str | None = None
    sha256: str | None = None
    seconds: float | None = None
    backend: str | None = None
    volumes_mm3: dict[str, float] | None = None
    trust: dict[str, Any] | None = None
    reused: bool = False
    notes: tuple[str, ...] = ()
    sent: Sent | None = None


class ItemList(_Answer):
    items: tuple[Item, ...]
    total: int


@dataclass(frozen=True)
class Mask:
    """A mask as the server wrote it, and what its headers tell."""

    content: bytes
    media_type: str
    suffix: str  # of its format, such as .nii.gz
    model: str  # name@version that made it
    backend: str
    request_id: str
    series: str = ""  # of DICOM: the UID of the series that was read; of several channels one each, with commas
    notes: tuple[str, ...] = ()  # how the scan was read, and what the mask's file lacks
