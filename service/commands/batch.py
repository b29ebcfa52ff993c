"""Many scans, one after the other: a failure is written down and the rest go on."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from skipseg.models.errors import ScanError, UsageError
from skipseg.models.inference.predictor import Predictor
from skipseg.models.labels import Label, Labels
from skipseg.models.scans.masks import mask_suffix, write_mask
from skipseg.models.scans.reader import read_channels
from skipseg.models.scans.volume import Mask
from skipseg.service.commands.cases import ScanFiles

RESULTS = "results.csv"
COLUMNS = ("scan", "state", "mask", "model", "seconds", "shape", "spacing_mm", "problem")


@dataclass(frozen=True)
class Result:
    """One row of ``results.csv``."""

    scan: str
    state: str  # done or failed
    model: str
    mask: str = ""
    seconds: float = 0.0
    shape: str = ""
    spacing_mm: str = ""
    problem: str = ""
    volumes_mm3: dict[str, float] = field(default_factory=dict)  # by label name


@dataclass(frozen=True)
class Batch:
    """What is the same for every scan of a batch."""

    predictor: Predictor
    model: str  # as results.csv names it
    out: Path
    format: str | None

    @property
    def labels(self) -> Labels:
        return self.predictor.bundle.labels

    def run(self, scans: Sequence[ScanFiles], resume: bool, progress: Callable[[int, int], None]) -> list[Result]:
        """Segment every scan into ``out`` and write ``out/results.csv``, a row as soon as its mask is there.

        With ``resume`` the scans that an earlier run of the same model finished, and whose masks are still there, are
        not done again. Returns the rows, old and new.
        """
        results = self._finished() if resume else []
        done = {result.scan for result in results}
        self.out.mkdir(parents=True, exist_ok=True)
        with results_file(self.out / RESULTS, self.labels, results) as write:
            for scan in scans:
                if str(scan.name) not in done:
                    results.append(self._segment(scan))
                    write(results[-1])
                progress(len(results), len(scans))
        return results

    def _segment(self, scan: ScanFiles) -> Result:
        started = perf_counter()
        try:
            scan.check_channels(len(self.predictor.plan.channels))
            mask = self.predictor.segment(read_channels(scan.files))
        except (ScanError, UsageError) as error:  # UsageError: the file cannot be opened
            return Result(str(scan.name), "failed", self.model, problem=str(error))
        path = self.out / scan.name.with_name(scan.name.name + mask_suffix(mask, self.format))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_mask(mask, path, self.format)
        return _done(scan, self.model, path.relative_to(self.out), perf_counter() - started, mask)

    def _finished(self) -> list[Result]:
        rows = read_results(self.out / RESULTS, self.labels)
        return [
            row for row in rows if row.state == "done" and row.model == self.model and (self.out / row.mask).is_file()
        ]


def _done(scan: ScanFiles, model: str, mask_file: Path, seconds: float, mask: Mask) -> Result:
    return Result(
        scan=str(scan.name),
        state="done",
        model=model,
        mask=str(mask_file),
        seconds=round(seconds, 3),
        shape="x".join(map(str, mask.geometry.shape)),
        spacing_mm="x".join(f"{mm:.4g}" for mm in mask.geometry.spacing),
        volumes_mm3={name: round(volume, 3) for name, volume in mask.volumes_mm3().items()},
    )


@contextmanager
def results_file(path: Path, labels: Labels, earlier: Sequence[Result]) -> Iterator[Callable[[Result], None]]:
    """Write rows to a CSV file that begins with ``earlier``; each is on disk before the next scan begins."""
    draft = path.with_name(path.name + ".writing")
    with draft.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerow([*COLUMNS, *(_volume_column(label) for label in labels.foreground)])
        csv.writer(file).writerows(_cells(result, labels) for result in earlier)
    os.replace(draft, path)
    with path.open("a", newline="", encoding="utf-8") as file:

        def write(result: Result) -> None:
            csv.writer(file).writerow(_cells(result, labels))
            file.flush()

        yield write


def read_results(path: Path, labels: Labels) -> list[Result]:
    """The rows of an earlier run, of which there may be none; a row that was cut short is left out.

    Raises ``UsageError`` for another kind of file.
    """
    if not path.is_file():
        return []
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [_row(row, labels) for row in csv.DictReader(file) if None not in row.values()]
    except (KeyError, ValueError, csv.Error):
        raise UsageError(f"{path} was not written by skipseg; remove it or choose another --out") from None


def _cells(result: Result, labels: Labels) -> list[object]:
    volumes = [result.volumes_mm3.get(label.name, "") for label in labels.foreground]
    return [*(getattr(result, column) for column in COLUMNS), *volumes]


def _volume_column(label: Label) -> str:
    return f"{label.name} mm3"


def _row(row: dict[str, str], labels: Labels) -> Result:
    volumes = {
        label.name: float(row[column]) for label in labels.foreground if row.get(column := _volume_column(label))
    }
    told = {column: row[column] for column in COLUMNS}
    return Result(**{**told, "seconds": float(told["seconds"]), "volumes_mm3": volumes})  # type: ignore[arg-type]
