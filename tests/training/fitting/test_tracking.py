"""The course of a fit is on disk while it runs, and where else its user follows it."""

import csv
import importlib.util

import pytest
from fitting import make_fit

from skipseg.models.errors import UsageError
from skipseg.training.fitting.schedule import Budget
from skipseg.training.fitting.tracking import HISTORY, HistoryFile, Unneeded, open_trackers
from skipseg.training.runs.setup import TrainOptions


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_row_is_on_disk_as_soon_as_it_is_told(tmp_path):
    path, seen = tmp_path / HISTORY, []
    trackers = [HistoryFile(path, pytest.fail)]
    fitted = make_fit(
        tmp_path, Budget(steps=12), trackers=trackers, watch=lambda _: seen.append(len(rows_of(path)))
    ).run()
    assert seen == list(range(1, len(fitted.history) + 1))
    assert [int(row["step"]) for row in rows_of(path)] == [row["step"] for row in fitted.history]
    assert set(rows_of(path)[0]) == {"step", "seconds", "loss", "learning_rate", "dice", "waited"}


def test_a_resumed_fit_goes_on_with_the_rows_of_its_checkpoint(tmp_path):
    path = tmp_path / HISTORY
    make_fit(tmp_path, Budget(steps=5), trackers=[HistoryFile(path, pytest.fail)]).run()
    with path.open("a") as file:
        file.write("6,9.9,0.1")  # written after the checkpoint, and cut off
    make_fit(tmp_path, Budget(steps=8), trackers=[HistoryFile(path, pytest.fail)]).run()
    assert [int(row["step"]) for row in rows_of(path)] == list(range(1, 9))


def test_a_history_that_cannot_be_written_is_told_once(tmp_path):
    told = []
    make_fit(tmp_path, Budget(steps=4), trackers=[HistoryFile(tmp_path / "gone" / HISTORY, told.append)]).run()
    assert len(told) == 1


def test_tensorboard_holds_the_same_rows(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    work = tmp_path / "liver.training"
    work.mkdir()
    trackers = open_trackers("tensorboard", work, pytest.fail)
    fitted = make_fit(work, Budget(steps=6), trackers=trackers, validate=lambda weights: 0.5).run()
    events = accumulator.EventAccumulator(str(tmp_path / "runs" / "liver")).Reload()
    losses = events.Scalars("loss")
    assert [event.step for event in losses] == [row["step"] for row in fitted.history]
    assert [event.value for event in losses] == pytest.approx([row["loss"] for row in fitted.history])
    assert {event.value for event in events.Scalars("dice")} == {0.5}
    assert len(rows_of(work / HISTORY)) == len(losses)


class Gone:
    """A tracker whose server does not answer after the first row."""

    def begin(self, rows):
        self.rows = []

    def row(self, row):
        if self.rows:
            raise ConnectionError("no answer")
        self.rows.append(row)

    close = None


def test_a_tracker_that_fails_is_told_once_and_ends_no_fit(tmp_path):
    told = []
    fitted = make_fit(tmp_path, Budget(steps=4), trackers=[Unneeded(Gone(), told.append)]).run()
    assert fitted.steps == 4
    assert told == ["Gone is followed no more (no answer); the training goes on"]


@pytest.mark.slow  # and skipped by most: MLflow is large, and no dependency, not even of the tests
def test_mlflow_holds_the_same_rows(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    fitted = make_fit(tmp_path, Budget(steps=6), trackers=open_trackers("mlflow", tmp_path, pytest.fail)).run()
    run = mlflow.search_runs(experiment_names=["skipseg"], output_format="list")[0]
    assert run.data.metrics["loss"] == pytest.approx(fitted.history[-1]["loss"])


def test_a_tracker_that_is_missing_is_named_with_the_command_that_installs_it(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        "skipseg.training.fitting.tracking.find_spec", lambda name: None if name == "tensorboard" else found(name)
    )
    with pytest.raises(UsageError, match="pip install tensorboard"):
        TrainOptions(epochs=1, track="tensorboard").check()
    with pytest.raises(UsageError, match="tensorboard, mlflow"):
        TrainOptions(epochs=1, track="paper").check()
