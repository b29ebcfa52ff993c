"""The course of a fit, row by row, as it happens: always as ``history.csv``, and where else its user follows runs."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, Protocol, get_args

from skipseg.models.errors import UsageError

Row = dict[str, float | None]
Tracking = Literal["tensorboard", "mlflow"]
HISTORY = "history.csv"
WORK = ".training"  # how the folder of a run's files on the way ends
COLUMNS = ("step", "seconds", "loss", "learning_rate", "dice", "waited")


class Tracker(Protocol):
    """Keeps rows of ``COLUMNS``; ``seconds`` are of wall clock, ``waited`` those spent without a batch."""

    def begin(self, rows: Sequence[Row]) -> None:
        """A fit begins, or goes on after ``rows``."""

    def row(self, row: Row) -> None:
        """Keep one row."""

    def close(self) -> None:
        """There are no more."""


class HistoryFile:
    """Rows in a CSV file, each on disk at once.

    A full disk is no reason to lose a training: ``say`` is told once, and the file lacks rows from then on.
    """

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        self.path, self.say = path, say
        self._failed = False

    def begin(self, rows: Sequence[Row]) -> None:
        self._write("w", rows)

    def row(self, row: Row) -> None:
        self._write("a", [row])

    def close(self) -> None:
        """Nothing is open between rows."""

    def _write(self, mode: str, rows: Sequence[Row]) -> None:
        if self._failed:
            return
        try:
            write_rows(self.path, rows, mode)
        except OSError as error:
            self._failed = True
            self.say(f"{self.path} cannot be written ({error.strerror}); the training goes on")


def write_rows(path: Path, rows: Sequence[Row], mode: str = "w") -> None:
    """Rows as CSV; a new file has the names of the columns first."""
    with path.open(mode, newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, COLUMNS)
        if mode == "w":
            table.writeheader()
        table.writerows(rows)


def read_rows(path: Path) -> list[Row]:
    """What ``write_rows`` wrote; none when the file is not there or no such table, since a full disk leaves that."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return [{name: float(value) if value else None for name, value in row.items()} for row in rows]
    except (OSError, ValueError, TypeError, AttributeError):
        return []


class Unneeded:
    """A tracker that a training can do without: when it fails (a server is gone, a disk is full) ``say`` is told once,
    and it is asked no more."""

    def __init__(self, tracker: Tracker, say: Callable[[str], None]) -> None:
        self.tracker, self.say = tracker, say
        self._failed = False

    def begin(self, rows: Sequence[Row]) -> None:
        self._ask(lambda: self.tracker.begin(rows))

    def row(self, row: Row) -> None:
        self._ask(lambda: self.tracker.row(row))

    def close(self) -> None:
        self._ask(self.tracker.close)

    def _ask(self, request: Callable[[], None]) -> None:
        if self._failed:
            return
        try:
            request()
        except Exception as error:  # noqa: BLE001 - other people's code, and nothing of ours hangs on it
            self._failed = True
            self.say(f"{type(self.tracker).__name__} is followed no more ({error}); the training goes on")


class TensorBoard:
    """Rows as scalars for ``tensorboard --logdir``, at ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, rows: Sequence[Row]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        after = int(rows[-1]["step"] or 0) + 1 if rows else None
        self._writer = SummaryWriter(str(self.folder), purge_step=after)

    def row(self, row: Row) -> None:
        step = int(row["step"] or 0)
        for name in COLUMNS[1:]:
            if (value := row.get(name)) is not None:
                self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class MLflow:
    """Rows as metrics of one MLflow run, wherever MLflow's own settings (``MLFLOW_TRACKING_URI``) say."""

    def __init__(self, name: str) -> None:
        self.name = name

    def begin(self, rows: Sequence[Row]) -> None:
        import mlflow

        self._mlflow = mlflow
        mlflow.set_experiment("skipseg")
        mlflow.start_run(run_name=self.name)
        for row in rows:
            self.row(row)

    def row(self, row: Row) -> None:
        told = {name: value for name in COLUMNS[1:] if (value := row.get(name)) is not None}
        self._mlflow.log_metrics(told, step=int(row["step"] or 0))

    def close(self) -> None:
        self._mlflow.end_run()


def check_tracking(wanted: str | None) -> None:
    """Raise ``UsageError`` when a tracker is unknown or not installed."""
    if wanted is None:
        return
    if wanted not in get_args(Tracking):
        raise UsageError(f"--track is one of {', '.join(get_args(Tracking))}; got {wanted!r}")
    if find_spec(wanted) is None:
        raise UsageError(f"--track {wanted} needs the package {wanted}: pip install {wanted}")


def open_trackers(wanted: str | None, folder: Path, say: Callable[[str], None]) -> list[Tracker]:
    """``history.csv`` in the folder of a fit, and the tracker asked for.

    TensorBoard's files lie in ``runs/``, beside the folder that the fit works in: ``runs/NAME`` for ``NAME.training``,
    ``runs/NAME/fold-1`` for ``NAME.training/fold-1``.
    """
    trackers: list[Tracker] = [HistoryFile(folder / HISTORY, say)]
    work = next((place for place in (folder, *folder.parents) if place.suffix == WORK), folder)
    name = Path(work.name.removesuffix(WORK)) / folder.relative_to(work)
    if wanted == "tensorboard":
        trackers.append(Unneeded(TensorBoard(work.parent / "runs" / name), say))
    if wanted == "mlflow":
        trackers.append(Unneeded(MLflow(name.as_posix()), say))
    return trackers
