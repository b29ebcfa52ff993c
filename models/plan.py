"""Everything needed to go from a scan to network input and back, frozen, as JSON."""

from __future__ import annotations

from math import ceil, prod
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from skipseg.models.networks.recipes import NetworkRecipe

PLAN_SCHEMA: Literal[1] = 1
MODALITY, LONGEST_DESCRIPTION = r"^[A-Z0-9_]{1,16}$", 64  # of a DICOM series
LONGEST_TILE, LARGEST_TILE = 8192, 512**3  # voxels along an axis, and in all


class Channel(BaseModel):
    """One channel of the image and how its intensities are normalised.

    ``zscore``: subtract the scan's own mean, divide by its own standard deviation (MR, microscopy). With
    ``clip_percent`` the scan is clipped to these percentiles of its own values before, so that a few wild ones do not
    leave the others no range.
    ``fixed``: clip to ``low``..``high``, subtract ``mean``, divide by ``std`` of the training data (CT).
    ``modality`` and ``description`` say which DICOM series of a study this channel is, where there are several.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    normalisation: Literal["zscore", "fixed"] = "zscore"
    low: float = 0.0
    high: float = 0.0
    mean: float = 0.0
    std: float = Field(default=1.0, gt=0)
    clip_percent: tuple[float, float] | None = None
    # As DICOM writes it, such as MR; and what is part of the series' description, in any case. Left out where None, so
    # that plans without them are read by older versions.
    modality: str | None = Field(default=None, pattern=MODALITY, exclude_if=lambda value: value is None)
    description: str | None = Field(
        default=None, min_length=1, max_length=LONGEST_DESCRIPTION, exclude_if=lambda value: value is None
    )

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Channel:
        if self.clip_percent is not None and not 0 <= self.clip_percent[0] < self.clip_percent[1] <= 100:
            raise ValueError(f"clip_percent needs two percentiles, 0 <= low < high <= 100, got {self.clip_percent}")
        if self.low > self.high:
            raise ValueError(f"channel {self.name}: low must not lie above high, got {self.low:g} and {self.high:g}")
        return self


class CleanUp(BaseModel):
    """What is mended in one label of a mask; a picture's pixels count as 1 mm3 each."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    keep_largest: bool = False  # of its connected pieces (faces, edges or corners) alone
    fill_holes_mm3: float | None = Field(default=None, gt=0)  # background that it alone encloses, up to this size

    @model_validator(mode="after")
    def _does_something(self) -> CleanUp:
        if not self.keep_largest and self.fill_holes_mm3 is None:
            raise ValueError("needs keep_largest or fill_holes_mm3")
        return self


class Plan(BaseModel):
    """The frozen contract between training and inference."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan_schema: Literal[1] = PLAN_SCHEMA
    dimensions: Literal[2, 3]  # 2: every slice along the last axis is an image of its own
    channels: tuple[Channel, ...] = Field(min_length=1)
    orientation: str | None  # the scan's axes are turned to this, such as RAS; None keeps them as stored
    spacing: tuple[float, ...] | None  # mm per network voxel along each of `dimensions` axes; None keeps the scan's own
    crop_to_content: bool = False  # cut away the background around it before normalising (scans/content.py)
    tile: tuple[int, ...]  # voxels the network sees at once
    overlap: float = Field(default=0.5, ge=0, lt=0.95)  # share of a tile that its neighbour covers again
    network: NetworkRecipe
    mirrored_axes: tuple[int, ...] = ()  # of the network's grid, along which it was trained to see scans mirrored
    cleanup: dict[str, CleanUp] = Field(default_factory=dict)  # by label name

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Plan:
        if len(self.tile) != self.dimensions or min(self.tile) < 1:
            raise ValueError(f"tile needs {self.dimensions} positive numbers, got {self.tile}")
        steps = self.network.shrinks
        if prod(ceil(side / step) for side, step in zip(self.tile, steps, strict=False)) < 2:
            raise ValueError(
                f"tile {self.tile} leaves the network's bottom a single voxel; it shrinks each axis by {steps}"
            )
        if max(self.tile) > LONGEST_TILE or prod(self.tile) > LARGEST_TILE:
            raise ValueError(
                f"tile may have at most {LONGEST_TILE} voxels a side and {LARGEST_TILE:,} in all, got {self.tile}"
            )
        if self.spacing is not None and (
            len(self.spacing) != self.dimensions or not all(1e-3 <= mm <= 1e3 for mm in self.spacing)
        ):
            raise ValueError(f"spacing needs {self.dimensions} numbers of 0.001 to 1000 mm, got {self.spacing}")
        if self.orientation is not None and not _names_each_axis(self.orientation):
            raise ValueError(f"orientation names each of R/L, A/P and S/I once, such as RAS; got {self.orientation!r}")
        if list(self.mirrored_axes) != [axis for axis in range(self.dimensions) if axis in self.mirrored_axes]:
            raise ValueError(f"mirrored_axes names axes 0 to {self.dimensions - 1} in order, got {self.mirrored_axes}")
        if self.network.dimensions != self.dimensions:
            raise ValueError(f"the network has {self.network.dimensions} dimensions, the plan {self.dimensions}")
        if self.network.channels != len(self.channels):
            raise ValueError(f"the network takes {self.network.channels} channels, the plan names {len(self.channels)}")
        return self


def _names_each_axis(orientation: str) -> bool:
    return sorted(orientation.translate(str.maketrans("LPI", "RAS"))) == ["A", "R", "S"]
