"""A box of a scan, which alone is segmented."""

from __future__ import annotations

import re
from dataclasses import dataclass

from skipseg.models.errors import ScanUnusable, UsageError
from skipseg.models.scans.content import Box
from skipseg.models.scans.geometry import Shape, Turn

SIDE = re.compile(r"(\d{0,9}):(\d{0,9})")


@dataclass(frozen=True)
class Roi:
    """Voxels ``start`` to ``stop`` along each axis of a scan's own grid, half-open; None is the scan's end."""

    sides: tuple[tuple[int, int | None], ...]  # 3, or 2 of a picture

    @classmethod
    def parse(cls, text: str) -> Roi:
        """Read ``x0:x1,y0:y1,z0:z1``; an end left out is the scan's. Raises ``UsageError``."""
        found = [SIDE.fullmatch(side.strip()) for side in text.split(",")]
        sides = tuple((int(side[1] or 0), int(side[2]) if side[2] else None) for side in found if side)
        if len(sides) < len(found) or len(sides) not in (2, 3):
            raise UsageError(f"a roi is x0:x1,y0:y1,z0:z1 in voxels of the scan, such as 10:60,0:40,:; got {text!r}")
        if any(stop is not None and stop <= start for start, stop in sides):
            raise UsageError(f"a roi goes from x0 up to, and without, x1: along each axis x0 < x1; got {text!r}")
        return cls(sides)

    def __str__(self) -> str:
        return ",".join(f"{start}:{'' if stop is None else stop}" for start, stop in self.sides)

    def within(self, shape: Shape, turn: Turn) -> Box:
        """The box in a scan of a shape, after a turn; raises ``ScanUnusable`` when the scan does not hold it."""
        box = [slice(0, length) for length in shape]
        for axis, (start, stop) in enumerate(self.sides):
            end = shape[axis] if stop is None else stop
            if not start < end <= shape[axis]:
                sides = "x".join(map(str, shape))
                raise ScanUnusable(f"the roi {self} does not lie within the scan, which has {sides} voxels")
            flipped = turn.flipped[axis]
            box[turn.goes_to[axis]] = slice(shape[axis] - end, shape[axis] - start) if flipped else slice(start, end)
        return box[0], box[1], box[2]
