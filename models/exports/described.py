"""What a network alone does not tell: how scans are shown to it, and what its classes mean."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from skipseg.models.bundle import Bundle
from skipseg.models.labels import Labels
from skipseg.models.plan import Plan

PLAN = "plan.json"


class Described(BaseModel):
    """What goes with exported weights, as ``plan.json``."""

    model_config = ConfigDict(frozen=True)

    name: str
    task: str
    licence: str
    weights_sha256: str  # of the bundle's weights.safetensors
    members: int
    labels: Labels
    plan: Plan

    @classmethod
    def of(cls, bundle: Bundle) -> Described:
        manifest = bundle.manifest
        return cls(**{name: getattr(manifest, name) for name in cls.model_fields})

    def write(self, folder: Path) -> None:
        """As ``plan.json`` in a folder."""
        (folder / PLAN).write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")
