"""What is asked of a training."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from skipseg.models.registry import NAME

MODEL_NAME = rf"^{NAME.pattern}$"
REFERENCE = rf"^{NAME.pattern}(@[0-9]{{1,9}})?$"
MOST_MINUTES = 14 * 24 * 60.0
MARGIN = 0.005


class TrainOrder(BaseModel):
    """A candidate version of ``name``, trained on a dataset of the server's for so many minutes."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    dataset: str = Field(pattern=MODEL_NAME, description="the name of a dataset, see GET /v1/datasets")
    base: str | None = Field(
        default=None, alias="from", pattern=REFERENCE, description="`name` or `name@version` to go on from"
    )
    minutes: float = Field(gt=0, le=MOST_MINUTES, description="wall clock of the training with its evaluation")
    name: str = Field(pattern=MODEL_NAME, description="the model that gets a new version")
    seed: int = Field(default=0, ge=0, lt=2**63)
    replay: tuple[str, ...] = Field(default=(), max_length=8, description="datasets whose cases are mixed in")
    promotion: Literal["auto", "manual"] = Field(
        default="manual", description="`auto`: the candidate becomes live when it is better by the rule"
    )
    margin: float = Field(default=MARGIN, ge=0, lt=1, description="how much of its Dice a label may lose")
