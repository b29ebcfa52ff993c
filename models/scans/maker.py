"""Who made a mask, and how far it may be trusted: what a file says of where it comes from."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict


class Trust(BaseModel):
    """The score, its four shares, and what is unusual in plain words; ``models/trust.py`` says how they come about."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    score: float  # 0 .. 1
    certainty: float
    pieces: float = 1.0
    size: float = 1.0
    spacing: float = 1.0
    entropy: float | None = None  # None: nothing was found
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Maker:
    """The model and the software that made a mask."""

    name: str  # of the model
    version: int | None  # in the registry it was taken from; None: it was in none
    weights_sha256: str
    software: str  # the version of skipseg
    trust: Trust | None = None  # None: it was not judged

    @property
    def reference(self) -> str:
        """``name@version``, as far as it is known."""
        return self.name if self.version is None else f"{self.name}@{self.version}"
