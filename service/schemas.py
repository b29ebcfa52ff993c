"""What travels as JSON."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from skipseg.models.labels import Label


class Answered(BaseModel):
    """Base of every answer."""

    model_config = ConfigDict(frozen=True)


class Problem(Answered):
    """An error, as RFC 9457 writes it; ``code`` is stable and meant for programs."""

    title: str
    status: int
    detail: str
    code: str
    request_id: str


class Health(Answered):
    status: Literal["ok"] = "ok"


class FailedModel(Answered):
    """A live version that could not be loaded, and why."""

    name: str
    reason: str


class Readiness(Answered):
    """Which models answer, and which should but do not."""

    status: Literal["ready"] = "ready"
    models: tuple[str, ...]
    failed: tuple[FailedModel, ...]


class ModelSummary(Answered):
    """One name of the registry."""

    name: str
    versions: tuple[int, ...]
    live: int | None
    shipped: bool
    state: Literal["ready", "loading", "failed", "not loaded"]


class ExpectedInput(Answered):
    """What a scan must be for a model, and the grid its network sees it on."""

    dimensions: Literal[2, 3]
    channels: tuple[str, ...]
    orientation: str | None
    spacing_mm: tuple[float, ...] | None


class ModelDetails(ModelSummary):
    """One version of a model: what goes in, what comes out, how good it is."""

    described: int  # the version that the rest is about: the loaded one, else the live one, else the latest
    task: str
    licence: str
    input: ExpectedInput
    labels: tuple[Label, ...]
    metrics: dict[str, float | None]


class ModelList(Answered):
    """The registry; of a model whose bundle cannot be read there is only the summary."""

    models: tuple[ModelDetails | ModelSummary, ...]


class LimitsInfo(Answered):
    upload_bytes: int
    voxels: int
    channels: int
    queue_size: int


class LoadedModel(Answered):
    """One version in memory: on what it runs, and why on that."""

    model: str  # name@version
    bytes: int  # about, weights and copies of them
    backend: str
    precision: str
    batch: int  # tiles at once, at most
    overlap: float  # of neighbouring tiles: the plan's, or less where the model proves that less will do
    difference: float | None  # of its logits from those of torch in fp32, as a share; None: it is that
    reason: str


class ModelMemory(Answered):
    used_bytes: int
    budget_bytes: int


class Info(Answered):
    """What this server is."""

    version: str
    device: str
    models: tuple[str, ...]
    loaded: tuple[LoadedModel, ...]
    model_memory: ModelMemory
    formats: tuple[str, ...]
    limits: LimitsInfo
