"""Series on their way in, on disk, so that nothing that was answered with success is ever lost.

DATA/dicom/listener/key                         of the hashes that stand for UIDs here
DATA/dicom/listener/receiving/                  instances that are coming in; nothing of it outlives the process
DATA/dicom/listener/open/SERIES/INSTANCE.dcm    series that may still grow, and sender.json
DATA/dicom/listener/settled/SERIES.TIME/        series that were quiet for long enough: being ordered
DATA/dicom/listener/held/SERIES.TIME/           series that no rule takes, or that could not be ordered, with held.json
DATA/dicom/listener/gone/                       what is being deleted

A series changes its state by a rename of its folder, and whoever finds it there after a crash goes on with it.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from secrets import token_hex

from pydantic import BaseModel, ConfigDict

from skipseg.models.durable import settle, write_whole
from skipseg.service.dicom.listening.header import InstanceHeader
from skipseg.service.dicom.listening.pseudonyms import Pseudonyms
from skipseg.service.refusals import DiskFull

SENDER, INSTANCES = "sender.json", "*.dcm"
STATES = ("receiving", "open", "settled", "held", "gone")


class Sender(BaseModel):
    """Who sent the first instance of a series."""

    model_config = ConfigDict(frozen=True)

    title: str


class Inbox:
    """The listener's folders; methods may be called by any thread of the one process that has it."""

    def __init__(self, root: Path, series_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        for state in STATES:
            (root / state).mkdir(parents=True, exist_ok=True)
        self.root, self.pseudonyms = root, Pseudonyms.kept_in(root)
        self._most, self._clock, self._lock = series_bytes, clock, threading.Lock()
        for state in ("receiving", "gone"):
            _empty(root / state)
        self._last = {path.name: clock() for path in (root / "open").iterdir()}
        self._bytes = {name: _size(root / "open" / name) for name in self._last}

    @property
    def receiving(self) -> Path:
        """Where instances that are coming in may lie."""
        return self.root / "receiving"

    def take(self, received: Path, header: InstanceHeader, sender: str) -> str:
        """Put an instance, which is on the disk, into its series; when this returns it is kept. Gives the series' hash.

        Raises ``OSError``, and ``DiskFull`` for a series that is too large.
        """
        series = self.pseudonyms.of(header.study, header.series)
        place = self.root / "open" / series / f"{self.pseudonyms.of(header.instance)}.dcm"
        with self._lock:
            size = self._bytes.get(series, 0) + received.stat().st_size
            if size > self._most:
                raise DiskFull(f"a series may have at most {self._most:,} bytes (SKIPSEG_MAX_ARCHIVE_BYTES)")
            if not place.parent.is_dir():
                self._begin(place.parent, sender)
            os.replace(received, place)
            settle(place.parent)
            self._last[series], self._bytes[series] = self._clock(), size
        return series

    def settle_quiet(self, quiet_s: float) -> None:
        """Take for complete what has not grown for so long."""
        with self._lock:
            for series in [name for name, last in self._last.items() if self._clock() - last >= quiet_s]:
                os.rename(self.root / "open" / series, self.root / "settled" / f"{series}.{time.time_ns():020}")
                del self._last[series], self._bytes[series]
            settle(self.root / "settled")

    def settled(self) -> list[Path]:
        """Series to be ordered, those that settled first at first."""
        return sorted((self.root / "settled").iterdir(), key=lambda path: path.suffix)

    def held(self) -> list[Path]:
        """Series that wait for another rule, or for their end."""
        return sorted((self.root / "held").iterdir(), key=lambda path: path.suffix)

    def hold(self, series: Path) -> Path:
        """Set a settled series aside."""
        return self._moved(series, "held")

    def settle_again(self, series: Path) -> Path:
        """Have a series that was held be looked at anew."""
        return self._moved(series, "settled")

    def absorb_held(self, series: Path) -> None:
        """Add to a settled series what was held of it before; what came later counts."""
        for earlier in reversed(self.held()):
            if earlier.stem == series.stem:
                for instance in earlier.glob(INSTANCES):
                    if not (series / instance.name).exists():
                        os.rename(instance, series / instance.name)
                settle(series)
                self.drop(earlier)

    def drop(self, series: Path) -> None:
        """Delete a series, all of it or, for whoever comes after a crash, none."""
        gone = self.root / "gone" / token_hex(16)
        os.rename(series, gone)
        settle(series.parent)
        shutil.rmtree(gone, ignore_errors=True)

    def waiting(self) -> tuple[int, int]:
        """How many series are open, and how many are settled or held."""
        return len(self._last), len(self.settled()) + len(self.held())

    def _begin(self, folder: Path, sender: str) -> None:
        draft = self.receiving / token_hex(16)
        draft.mkdir()
        write_whole(draft / SENDER, Sender(title=sender).model_dump_json().encode())
        os.rename(draft, folder)
        settle(folder.parent)

    def _moved(self, series: Path, state: str) -> Path:
        there = self.root / state / series.name
        os.rename(series, there)
        settle(there.parent)
        settle(series.parent)
        return there


def instances_of(series: Path) -> list[Path]:
    """The files of a series, by the hashes of their UIDs."""
    return sorted(series.glob(INSTANCES))


def sender_of(series: Path) -> str:
    return Sender.model_validate_json((series / SENDER).read_bytes()).title


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def _empty(folder: Path) -> None:
    for path in _entries(folder):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _entries(folder: Path) -> Iterator[Path]:
    yield from list(folder.iterdir())
