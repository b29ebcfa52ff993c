"""Choices of a plan that a person makes instead of the planner, read from a file (`docs/plan.md`)."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from skipseg.models.errors import UsageError
from skipseg.models.networks.blocks import BlockKind
from skipseg.models.networks.kit import Activation
from skipseg.models.networks.norms import Norm
from skipseg.models.networks.recipes import NetworkKind
from skipseg.models.networks.skips import KindOfSkip
from skipseg.models.plan import LONGEST_DESCRIPTION, MODALITY, CleanUp

Normalisation = Literal["zscore", "robust", "fixed"]
Steps = tuple[Annotated[int, Field(ge=1, le=7)], ...]
Count = Annotated[int, Field(ge=1)]
Width = Annotated[int, Field(ge=1, le=2048)]
ROBUST_PERCENT = (0.5, 99.5)
AS_STORED: Literal["as stored"] = "as stored"
UNETS = dict.fromkeys(("blocks", "block", "skip", "activation", "norm", "deep_supervision"), ("unet",))
PYRAMIDS = dict.fromkeys(("strides", "kernels", "residual"), ("unet", "dynunet"))
ONLY_OF: dict[str, tuple[str, ...]] = {  # choices that some networks have and others do not
    **UNETS,
    **PYRAMIDS,
    "widths": ("unet", "dynunet", "attentionunet"),
    "features": ("segresnet", "swinunetr", "unetr"),
}
LOOSE = frozenset({"batch", "flips", "learning_rate", "whole_batch_dice"})  # what a retrained model leaves open


class ChannelChoice(BaseModel):
    """How one channel is normalised; what is not told is measured."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    method: Normalisation
    low: float | None = None
    high: float | None = None
    mean: float | None = None
    std: Annotated[float, Field(gt=0)] | None = None
    clip_percent: tuple[float, float] | None = None

    @model_validator(mode="before")
    @classmethod
    def _a_method_alone(cls, given: Any) -> Any:
        return {"method": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> ChannelChoice:
        if self.method != "fixed" and {self.low, self.high, self.mean, self.std} != {None}:
            raise ValueError('low, high, mean and std belong to the method "fixed"')
        if self.method != "robust" and self.clip_percent is not None:
            raise ValueError('clip_percent belongs to the method "robust"')
        return self


class SeriesOfChannel(BaseModel):
    """Which DICOM series of a study a channel is, when scans come as DICOM."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    modality: Annotated[str, Field(pattern=MODALITY)] | None = None
    description: Annotated[str, Field(min_length=1, max_length=LONGEST_DESCRIPTION)] | None = None


class Overrides(BaseModel):
    """Every choice a file may hold; None leaves it to the planner."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    about: Any = None  # what the planner said of its own choices; not read
    dimensions: Literal[2, 3] | None = None
    orientation: str | None = None  # such as RAS, or "as stored"
    spacing: tuple[Annotated[float, Field(ge=1e-3, le=1e3)], ...] | Literal["as stored"] | None = None  # mm
    crop_to_content: bool | None = None
    normalisation: dict[str, ChannelChoice] = Field(default_factory=dict)
    series: dict[str, SeriesOfChannel] = Field(default_factory=dict)  # by channel
    patch: tuple[Count, ...] | None = None
    overlap: Annotated[float, Field(ge=0, lt=0.95)] | None = None
    cleanup: dict[str, CleanUp] = Field(default_factory=dict)  # by label name; the planner itself never asks for any
    batch: Annotated[int, Field(ge=1, le=4096)] | None = None
    widths: Annotated[tuple[Annotated[int, Field(ge=1, le=2048)], ...], Field(min_length=2, max_length=10)] | None = (
        None
    )
    network: NetworkKind | None = None
    features: Annotated[int, Field(ge=4, le=256)] | None = None  # of a borrowed network at full resolution
    strides: tuple[Steps, ...] | None = None
    kernels: tuple[Steps, ...] | None = None
    blocks: tuple[Annotated[int, Field(ge=0, le=16)], ...] | None = None
    block: BlockKind | None = None
    residual: bool | None = None
    skip: KindOfSkip | None = None
    activation: Activation | None = None
    norm: Norm | None = None
    deep_supervision: bool | None = None
    flips: tuple[bool, ...] | None = None
    learning_rate: Annotated[float, Field(gt=0, le=1)] | None = None
    whole_batch_dice: bool | None = None

    @model_validator(mode="after")
    def _suits_its_network(self) -> Overrides:
        kind = self.network or "unet"
        for name, kinds in ONLY_OF.items():
            if getattr(self, name) is not None and kind not in kinds:
                raise ValueError(f"{name} is a choice of {', '.join(kinds)}, not of the network {kind}")
        return self

    @property
    def grid_spacing(self) -> tuple[float, ...] | None:
        """The spacing asked for in mm; None for that of each scan."""
        return None if isinstance(self.spacing, str) else self.spacing

    @property
    def shapes_the_grid(self) -> bool:
        """Whether the choice between finer and coarser grids is taken already."""
        return any(choice is not None for choice in (self.patch, self.strides, self.spacing))

    @property
    def chosen(self) -> frozenset[str]:
        """The names of the fields that were given."""
        return frozenset(name for name in type(self).model_fields if getattr(self, name) not in (None, {})) - {"about"}

    def check_axes(self, axes: int, channels: Sequence[str]) -> None:
        """Raise ``UsageError`` for fields that contradict the dataset, or one another."""
        for name in ("patch", "flips", "grid_spacing"):
            if (entry := getattr(self, name)) is not None and len(entry) != axes:
                raise _wrong(name.removeprefix("grid_"), f"needs {axes} entries, one an axis; got {len(entry)}")
        for name in ("strides", "kernels"):
            if any(len(entry) != axes for entry in getattr(self, name) or ()):
                raise _wrong(name, f"needs {axes} numbers in every entry, one an axis")
        depths = {name: len(getattr(self, name) or ()) for name in ("widths", "strides", "kernels", "blocks")}
        if len({depth for depth in depths.values() if depth}) > 1:
            told = ", ".join(f"{name} has {depth}" for name, depth in depths.items() if depth)
            raise _wrong(next(name for name, depth in depths.items() if depth), f"needs one entry a resolution; {told}")
        for name in ("normalisation", "series"):
            if unknown := sorted(getattr(self, name).keys() - set(channels)):
                raise _wrong(name, f"names the channel {unknown[0]!r}; there are {', '.join(channels)}")

    def check_labels(self, labels: Sequence[str]) -> None:
        """Raise ``UsageError`` for a label that the dataset does not have."""
        if unknown := sorted(self.cleanup.keys() - set(labels)):
            raise _wrong("cleanup", f"names the label {unknown[0]!r}; there are {', '.join(labels)}")

    def check_retraining(self) -> None:
        """Raise ``UsageError`` for what a retrained model takes over from its base."""
        if fixed := sorted(self.chosen - LOOSE):
            raise _wrong(fixed[0], f"is the base's in a retrained model; {', '.join(sorted(LOOSE))} can be chosen")


def read_overrides(path: Path | None, **asked: str | None) -> Overrides:
    """Choices from a JSON or TOML file, and those ``asked`` for beside it, which come first.

    Raises ``UsageError`` naming the field that is wrong, and what is allowed.
    """
    found = _read(path) if path else {}
    try:
        return Overrides.model_validate(found | {name: choice for name, choice in asked.items() if choice is not None})
    except ValidationError as problem:
        raise UsageError(f"{path}: {_told(problem)}" if path else _told(problem)) from None


def _read(path: Path) -> dict[str, Any]:
    if path.suffix.lower() not in (".json", ".toml"):
        raise UsageError(f"a plan is a .json or .toml file; got {path.name}")
    try:
        text = path.read_text(encoding="utf-8")
        found = json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as problem:
        raise UsageError(f"{path} cannot be read as {path.suffix[1:].upper()}: {problem}") from None
    if not isinstance(found, dict):
        raise UsageError(f"{path} must hold named fields, such as patch and batch")
    return found


def _wrong(field: str, what: str) -> UsageError:
    return UsageError(f"plan file: {field} {what}")


def _told(problem: ValidationError) -> str:
    first = problem.errors()[0]
    if not first["loc"]:
        return first["msg"].removeprefix("Value error, ")
    field = first["loc"][0]
    if first["type"] == "extra_forbidden" and len(first["loc"]) == 1:
        known = ", ".join(name for name in Overrides.model_fields if name != "about")
        return f"there is no field {field!r}; known are {known}"
    by_name = field in ("normalisation", "series", "cleanup")
    named = (int, str) if by_name else (int,)  # other names are of kinds that were tried
    where = "".join(f"[{part}]" for part in first["loc"][1:] if isinstance(part, named))
    told = first["msg"].removeprefix("Value error, ")
    return f"{field}{where}: {told[:1].lower() + told[1:]}; got {str(first['input'])[:60]}"
