"""Many scans, one after the other: a failure is written down and the rest go on."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from skipseg.models.errors import ScanError, UsageError
from skipseg.models.inference.predictor import Predictor
from skipseg.models.memory import memory_permitting
from skipseg.models.scans.masks import mask_suffix, write_mask
from skipseg.models.scans.reader import read_channels
from skipseg.models.scans.volume import Mask
from skipseg.service.commands.cases import ScanFiles
from skipseg.service.commands.results import RESULTS, Result, read_results, results_file

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}  # no later scan could be written either


@dataclass(frozen=True)
class Batch:
    """What is the same for every scan of a batch."""

    predictor: Predictor
    model: str  # as results.csv names it
    out: Path
    format: str | None

    def run(self, scans: Sequence[ScanFiles], resume: bool, progress: Callable[[int, int], None]) -> list[Result]:
        """Segment every scan into ``out`` and write ``out/results.csv``, a row as soon as its mask is there.

        With ``resume`` the scans that an earlier run finished are not done again: the same files, by the same model, in
        the same format, with the mask still there. Rows of other scans stay in the table. Returns the rows of
        ``scans``, in their order; raises ``OSError`` when nothing more can be written, with what is done left done.
        """
        earlier = {row.scan: row for row in read_results(self.out / RESULTS)}
        labels = [label.name for label in self.predictor.bundle.labels.foreground]
        results: list[Result] = []
        with _told_when_full(self.out, results, len(scans)):
            self.out.mkdir(parents=True, exist_ok=True)
            with results_file(self.out / RESULTS, labels, list(earlier.values())) as write:
                for scan in scans:
                    row = earlier.get(str(scan.name)) if resume else None
                    if row is None or not self._still_holds(row, scan):
                        row = self._segment(scan)
                        write(row)
                    results.append(row)
                    progress(len(results), len(scans))
        return results

    def _still_holds(self, row: Result, scan: ScanFiles) -> bool:
        same = (row.state, row.model, row.format) == ("done", self.model, self.format or "")
        try:
            return same and (self.out / row.mask).is_file() and row.sha256 == scan.sha256()
        except OSError:  # the scan cannot be read: doing it again says so
            return False

    def _segment(self, scan: ScanFiles) -> Result:
        try:
            with memory_permitting():
                return self._done(scan)
        except (ScanError, UsageError) as error:  # UsageError: the file cannot be opened, or the format not hold it
            problem = str(error)
        except OSError as error:
            if error.errno in NO_ROOM:
                raise
            problem = error.strerror or type(error).__name__
        return Result(str(scan.name), "failed", self.model, problem=problem)

    def _done(self, scan: ScanFiles) -> Result:
        started = perf_counter()
        scan.check_channels(len(self.predictor.plan.channels))
        sha256 = scan.sha256()
        mask = self.predictor.segment(read_channels(scan.files))
        path = self.out / scan.name.with_name(scan.name.name + mask_suffix(mask, self.format))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_mask(mask, path, self.format)
        volumes = mask.volumes_mm3()
        return Result(
            scan=str(scan.name),
            state="done",
            model=self.model,
            mask=str(path.relative_to(self.out)),
            format=self.format or "",
            sha256=sha256,
            seconds=round(perf_counter() - started, 3),
            shape="x".join(map(str, mask.geometry.shape)),
            spacing_mm="" if volumes is None else _spacing(mask),
            volumes_mm3={name: round(volume, 3) for name, volume in (volumes or {}).items()},
        )


def _spacing(mask: Mask) -> str:
    return "x".join(f"{mm:.4g}" for mm in mask.geometry.spacing)


@contextmanager
def _told_when_full(out: Path, results: Sequence[Result], count: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        left = f"{len(results)} of {count} scans are dealt with; make room, then go on with --resume"
        raise OSError(error.errno, f"{error.strerror}; {left}", str(out)) from None
