"""Many scans, several at once: a failure is written down and the rest go on."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

from skipseg.models.durable import settle
from skipseg.models.errors import ScanError, UsageError
from skipseg.models.inference.predictor import Predictor
from skipseg.models.inference.wishes import AS_PLANNED, Wishes
from skipseg.models.memory import memory_permitting
from skipseg.models.scans.maps import map_path, write_maps
from skipseg.models.scans.masks import mask_suffix, write_mask
from skipseg.models.scans.volume import Mask
from skipseg.service.commands.cases import ScanFiles
from skipseg.service.commands.crew import Crew
from skipseg.service.commands.folder_ledger import FolderLedger, opened
from skipseg.service.commands.results import RESULTS, Result, results_file
from skipseg.service.jobs.records import PARKED_AFTER

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}  # no later scan could be written either


@dataclass(frozen=True)
class Outcome:
    """What came of a batch."""

    rows: list[Result]  # of its scans, in their order
    made: int  # of them in this run
    seconds: float
    busy_s: float  # of the device

    @property
    def pace(self) -> str:
        """For people."""
        return f"{self.made / self.seconds:.3g} a second, the device busy {self.busy_s / self.seconds:.0%} of the time"


@dataclass(frozen=True)
class Batch:
    """What is the same for every scan of a batch."""

    predictor: Predictor
    model: str  # as results.csv names it
    out: Path
    format: str | None
    wishes: Wishes = AS_PLANNED  # ``model`` names them too, so that a run with others does not resume this one

    def run(self, scans: Sequence[ScanFiles], resume: bool, progress: Callable[[int, int], None]) -> Outcome:
        """Segment every scan into ``out`` and write ``out/results.csv``, a row as soon as its mask is there.

        With ``resume`` the scans that an earlier run finished are not done again: the same files, by the same model, in
        the same format, with the mask still there. Rows of other scans stay in the table. A scan that was in hand when
        an earlier run died goes alone, and is parked after two deaths alone.

        Raises ``UsageError`` when another run has the folder, and ``OSError`` when nothing more can be written, with
        what is done left done; so does Ctrl-C.
        """
        labels = [label.name for label in self.predictor.bundle.labels.foreground]
        names = [str(scan.name) for scan in scans]
        dealt_with, began = dict[str, Result](), perf_counter()
        with _told_when_full(self.out, dealt_with, len(scans)):
            self.out.mkdir(parents=True, exist_ok=True)
            with (
                opened(self.out, names) as ledger,
                results_file(self.out / RESULTS, labels, ledger.rows, names) as write,
                Crew(self.predictor, self.wishes) as crew,
            ):
                done = {row.scan: row for row in ledger.rows if resume}
                way = _Way(self, ledger, write, crew, done, dealt_with)
                for scan in scans:
                    if str(scan.name) in ledger.suspects:
                        crew.submit(way.go_alone, scan).result()
                rows = crew.each(way.go, scans, progress)
        made = sum(row is not done.get(row.scan) for row in rows)
        return Outcome(rows, made, perf_counter() - began, crew.engine.busy_s)

    def still_holds(self, row: Result, scan: ScanFiles) -> bool:
        """Whether a scan would only be done again; what failed is tried again, unless it was parked."""
        same = (row.model, row.format) == (self.model, self.format or "")
        try:
            files = [self.out / row.mask, *(map_path(self.out / scan.name, name) for name in self.wishes.maps)]
            there = row.parked or (row.state == "done" and all(file.is_file() for file in files))
            return same and there and row.sha256 == scan.sha256()
        except OSError:  # the scan cannot be read: doing it again says so
            return False

    def segment(self, scan: ScanFiles, crew: Crew) -> Result:
        """What comes of a scan; raises ``OSError`` when no later one could be written either."""
        try:
            with memory_permitting():
                return self._done(scan, crew)
        except (ScanError, UsageError) as error:  # UsageError: the file cannot be opened, or the format not hold it
            problem = str(error)
        except OSError as error:
            if error.errno in NO_ROOM:
                raise
            problem = error.strerror or type(error).__name__
        except Exception as error:  # whatever one scan brings about, the others go on
            if crew.is_closing:
                raise
            problem = f"skipseg failed on it ({type(error).__name__}: {error}); please report this"
        return Result(str(scan.name), "failed", self.model, problem=problem)

    def parked(self, scan: ScanFiles, deaths: int) -> Result:
        """What is told of a scan that brings the process down."""
        words = f"skipseg died {deaths} times on this scan alone, so it is not tried again"
        problem = f"{words}; look at the file, and segment it into another folder to try once more"
        told = Result(str(scan.name), "failed", self.model, format=self.format or "", problem=problem, parked=True)
        try:
            return replace(told, sha256=scan.sha256())
        except OSError:
            return told

    def _done(self, scan: ScanFiles, crew: Crew) -> Result:
        scan.check_channels(len(self.predictor.plan.channels))
        with crew.flown(scan) as departed:
            mask = self.predictor.finish(departed.flight, departed.source)
            path = self.out / scan.name.with_name(scan.name.name + mask_suffix(mask, self.format))
            path.parent.mkdir(parents=True, exist_ok=True)
            write_maps(self.predictor.maps(departed.flight, departed.source), self.out / scan.name)
            notes = write_mask(mask, path, self.format)
            for written in (*(map_path(self.out / scan.name, name) for name in self.wishes.maps), path, path.parent):
                settle(written)  # what the ledger says is done is there after a power cut
            seconds, volumes = perf_counter() - departed.began, mask.volumes_mm3()
        return Result(
            scan=str(scan.name),
            state="done",
            model=self.model,
            mask=str(path.relative_to(self.out)),
            format=self.format or "",
            backend=self.predictor.told(departed.flight),
            sha256=departed.sha256,
            seconds=round(seconds, 3),
            shape="x".join(map(str, mask.geometry.shape)),
            spacing_mm="" if volumes is None else _spacing(mask),
            notes="; ".join(notes),
            volumes_mm3={name: round(volume, 3) for name, volume in (volumes or {}).items()},
        )


@dataclass(frozen=True)
class _Way:
    """From a scan to its row, in the ledger, in the table, and in ``dealt_with``."""

    batch: Batch
    ledger: FolderLedger
    write: Callable[[Result], None]
    crew: Crew
    done: Mapping[str, Result]  # in earlier runs
    dealt_with: dict[str, Result]

    def go(self, scan: ScanFiles) -> Result:
        """With others beside it."""
        name = str(scan.name)
        if name in self.dealt_with:
            return self.dealt_with[name]
        row = self.done.get(name)
        if row is not None and self.batch.still_holds(row, scan):
            self.dealt_with[name] = row
            return row
        self.ledger.begin(name)
        return self._settled(self.batch.segment(scan, self.crew))

    def go_alone(self, scan: ScanFiles) -> Result:
        """With none beside it, unless it was alone often enough."""
        name = str(scan.name)
        if (deaths := self.ledger.suspects[name]) >= PARKED_AFTER:
            return self._settled(self.batch.parked(scan, deaths))
        self.ledger.begin(name, alone=True)
        return self._settled(self.batch.segment(scan, self.crew))

    def _settled(self, row: Result) -> Result:
        self.ledger.record(row)
        self.write(row)
        self.dealt_with[row.scan] = row
        return row


def _spacing(mask: Mask) -> str:
    return "x".join(f"{mm:.4g}" for mm in mask.geometry.spacing)


@contextmanager
def _told_when_full(out: Path, dealt_with: Sized, count: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        left = f"{len(dealt_with)} of {count} scans are dealt with; make room, then the same command goes on"
        raise OSError(error.errno, f"{error.strerror}; {left}", str(out)) from None
