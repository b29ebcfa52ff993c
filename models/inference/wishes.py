"""What a user may ask of a segmentation beside its mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from skipseg.models.errors import UsageError
from skipseg.models.inference.flight import Way
from skipseg.models.plan import Plan
from skipseg.models.scans.roi import Roi

Stored = Literal["float16", "uint8"]


@dataclass(frozen=True)
class Wishes:
    """The defaults are the plan's own way to a mask, and nothing more. Raises ``UsageError`` for what cannot be."""

    overlap: float | None = None  # of neighbouring tiles; None: the plan's
    tta: bool = False  # each tile is shown mirrored as well, along all axes that training mirrored
    roi: Roi | None = None  # that alone is segmented
    probabilities: Stored | None = None
    uncertainty: bool = False

    def __post_init__(self) -> None:
        if self.overlap is not None and not 0 <= self.overlap < 0.95:
            raise UsageError(f"the overlap is a share of a tile, 0 to below 0.95; got {self.overlap:g}")

    @property
    def maps(self) -> tuple[str, ...]:
        """The names of what is to lie beside the mask."""
        wished = {"probabilities": self.probabilities is not None, "uncertainty": self.uncertainty}
        return tuple(name for name, asked in wished.items() if asked)

    def way_for(self, plan: Plan, proven: float | None = None) -> Way:
        """How a scan is shown to a network; raises ``UsageError`` for views that it has not learned to see.

        ``proven``: an overlap that was seen to do as well as the plan's, for masks of views that are not mirrored.
        """
        if self.tta and not plan.mirrored_axes:
            raise UsageError(
                "tta shows a model mirrored views, and this one was trained without any (or before bundles told): they "
                "would be new to it; leave tta out, or train with flips (docs/plan.md)"
            )
        overlap = proven if self.overlap is None and not self.tta else self.overlap
        return Way.of(plan, overlap, plan.mirrored_axes if self.tta else ())

    def __str__(self) -> str:
        """Those that differ from the default, such as ``overlap=0.5, tta``."""
        fields = {name: getattr(self, name) for name in sorted(self.__dataclass_fields__)}
        given = {name: value for name, value in fields.items() if value is not None and value is not False}
        return ", ".join(name if value is True else f"{name}={value}" for name, value in given.items())


def stored_as(name: str) -> Stored:
    """How probabilities are stored; raises ``UsageError`` for a name that is none of ``Stored``."""
    found: dict[str, Stored] = {kind: kind for kind in get_args(Stored)}
    if name not in found:
        raise UsageError(f"probabilities are stored as {' or '.join(found)}; got {name!r}")
    return found[name]


AS_PLANNED = Wishes()
