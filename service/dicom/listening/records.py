"""What was ordered of a series: so that it is ordered once, and again when it has grown.

DATA/dicom/listener/ordered/SERIES.json         the last order of a series
DATA/dicom/listener/settled/SERIES.TIME/order.json   an order that is being placed; written before it is
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from skipseg.models.durable import write_whole
from skipseg.service.jobs.orders import SegmentOrder

ORDER, HELD = "order.json", "held.json"

Model = TypeVar("Model", bound=BaseModel)


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True)


class Placing(_Kept):
    """An order that is being placed: its upload may not be there yet, its job may be there already."""

    order: SegmentOrder
    upload: str
    upload_sha256: str
    key: str  # idempotency
    rule: str
    instances: dict[str, str]  # hashes of UIDs, and of contents
    new: int  # how many of them the order before this one did not have
    earlier: str | None  # the job of that order

    def write(self, series: Path) -> None:
        write_whole(series / ORDER, self.model_dump_json().encode())

    @classmethod
    def read(cls, series: Path) -> Placing | None:
        """None where nothing is being placed, or cannot be read: then it is settled anew."""
        return _read(cls, series / ORDER)

    @staticmethod
    def forget(series: Path) -> None:
        (series / ORDER).unlink(missing_ok=True)


class Ordered(_Kept):
    """The last order of a series."""

    job: str
    upload: str
    key: str
    instances: dict[str, str]


class Held(_Kept):
    """Why a series was set aside, and when first (seconds since 1970)."""

    reason: str
    since: float

    def write(self, series: Path) -> None:
        write_whole(series / HELD, self.model_dump_json().encode())

    @classmethod
    def read(cls, series: Path) -> Held | None:
        return _read(cls, series / HELD)


class Records:
    """The last order of each series."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def of(self, series: str) -> Ordered | None:
        return _read(Ordered, self.folder / f"{series}.json")

    def keep(self, series: str, ordered: Ordered) -> None:
        write_whole(self.folder / f"{series}.json", ordered.model_dump_json().encode())

    def all(self) -> Iterator[tuple[str, Ordered]]:
        for path in sorted(self.folder.glob("*.json")):
            if (found := _read(Ordered, path)) is not None:
                yield path.stem, found

    def forget(self, series: str) -> None:
        (self.folder / f"{series}.json").unlink(missing_ok=True)


def _read(kind: type[Model], path: Path) -> Model | None:
    try:
        return kind.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
