"""An ordered training from order to candidate: killed, cancelled, starved, and left in peace."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import nibabel
import numpy as np
import ordered_training
import pytest
from ordered_training import FAST, ordered

from skipseg.models.errors import DatasetUnknown, JobConflict, ModelUnknown, TrainingFailed, UsageError
from skipseg.service.retraining.machine import Machine
from skipseg.service.retraining.order import TrainOrder
from skipseg.service.retraining.outcome import TrainOutcome, TrainProgress
from skipseg.service.retraining.preparing import Stores, begin
from skipseg.service.retraining.retrain import retrain
from skipseg.training.datasets.dataset import image_checksum, open_dataset
from skipseg.training.datasets.description import Description
from skipseg.training.datasets.split import split_cases
from skipseg.training.fitting.tracking import HISTORY
from skipseg.training.runs.setup import CHECKPOINT

PATIENCE_S = 180
ORDER = {"dataset": "pictures", "from": "good@1", "name": "cells"}
LONG = TrainOrder.model_validate({**ORDER, "minutes": 60})  # to be cancelled
SHORT = TrainOrder.model_validate({**ORDER, "minutes": 1.5, "promotion": "auto"})


@contextmanager
def runner(place: Path, order: TrainOrder, *more: str):
    command = [sys.executable, ordered_training.__file__, str(place), order.model_dump_json(by_alias=True), *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def until_it_learns(process: subprocess.Popen, place: Path, file: str = HISTORY) -> None:
    """Until a step of this process's own child is in a file, or saved."""
    work, began = place / "job" / "candidate.training", time.time()
    for line in process.stdout:
        told = TrainProgress.model_validate_json(line)
        if told.curve and (work / file).is_file() and (work / file).stat().st_mtime > began:
            return
    raise AssertionError("it ended without learning")


def outcome_of(process: subprocess.Popen) -> TrainOutcome:
    *_, last = process.stdout
    return TrainOutcome.model_validate_json(last)


def child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def ends(pid: int) -> bool:
    """Whether a process ends before patience does."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        try:
            if ") Z " in Path(f"/proc/{pid}/stat").read_text():
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def test_a_better_candidate_goes_live_and_tells_on_what_it_was_judged(place, registry, datasets) -> None:
    told = []
    stores = Stores(datasets, registry)
    outcome = retrain(SHORT, place / "job", stores, FAST, "tester", progress=told.append)
    assert (outcome.candidate, outcome.base, outcome.promotion.promoted) == ("cells@2", "good@1", True)
    assert registry.model("cells").live == 2

    frozen = datasets.get("pictures").kept.frozen
    assert set(outcome.validation_cases) == set(frozen.cases)
    record = registry.resolve("cells@2").open().manifest.training
    assert not set(record.images_sha256) & set(frozen.cases.values())
    assert len(record.cases) == outcome.training_cases == 8 - len(frozen.cases)

    judged = outcome.judgement
    assert (judged.a, judged.cases, judged.learned, judged.failed) == ("cells@1", len(frozen.cases), 0, 0)
    assert judged.mean.dice.difference > 0
    assert set(judged.labels) == {"organ", "lesion", "vessel"}
    assert all(one.dice.interval for one in judged.labels.values())
    assert {one.case for one in judged.changes} == set(frozen.cases)
    dices = [one.b for one in judged.changes]
    assert dices == sorted(dices)
    assert np.mean(dices) == pytest.approx(judged.mean.dice.b)
    for label, found in judged.labels.items():
        assert np.mean([one.labels[label].b for one in judged.changes]) == pytest.approx(found.dice.b)
    evaluation = registry.resolve("cells@2").folder / "evaluation"
    assert json.loads((evaluation / "comparison.json").read_text())["b"] == "candidate"
    assert (evaluation / "comparison.html").stat().st_size > 0

    stages = [progress.stage for progress in told]
    assert sorted(set(stages), key=stages.index)[:2] == ["preparing", "training"]
    assert stages[-1] == "finishing"
    assert told[-1].curve == outcome.curve != ()
    assert datasets.trail("pictures")[-1].who == "tester"
    assert not {"dataset", "candidate", "base", "rival"} & {path.name for path in (place / "job").iterdir()}
    assert retrain(SHORT, place / "job", stores, FAST) == outcome
    assert registry.model("cells").versions == (1, 2)


@pytest.mark.slow
def test_a_runner_killed_at_any_stage_goes_on_and_adds_one_candidate(place, registry, datasets, more) -> None:
    with runner(place, LONG) as process:
        until_it_learns(process, place, CHECKPOINT)
        child = child_of(process.pid)
        process.send_signal(signal.SIGKILL)
        assert ends(child)  # a training that nobody waits for does not go on
    frozen = datasets.get("pictures").kept.frozen
    more(1)
    (place / "cancel").touch()  # before it goes on: what it had begun is what it ends with
    with runner(place, LONG, "finishing") as process:
        process.communicate(timeout=PATIENCE_S)
        assert process.returncode == -signal.SIGKILL
    assert registry.model("cells").versions == (1,)
    with runner(place, LONG, "added") as process:
        process.communicate(timeout=PATIENCE_S)
        assert process.returncode == -signal.SIGKILL
    assert registry.model("cells").versions == (1, 2)
    with runner(place, LONG) as process:
        outcome = outcome_of(process)
    assert (outcome.cancelled, outcome.candidate) == (True, "cells@2")
    assert registry.model("cells").versions == (1, 2)
    assert registry.model("cells").live == 1
    assert outcome.judgement is not None
    assert outcome.training_cases + len(frozen.cases) == 8  # as it was when the training began
    assert datasets.get("pictures").kept.frozen == frozen


@pytest.mark.slow
def test_a_child_that_is_killed_is_told_and_a_retry_goes_on(place, registry) -> None:
    with runner(place, LONG) as process:
        until_it_learns(process, place)
        os.kill(child_of(process.pid), signal.SIGKILL)
        process.wait(timeout=PATIENCE_S)
    assert process.returncode != 0
    with runner(place, LONG) as process:
        until_it_learns(process, place)
        with pytest.raises(JobConflict):  # one at a time
            ordered(place, LONG)
        (place / "cancel").touch()
        outcome = outcome_of(process)
    assert outcome.candidate == "cells@2"
    assert outcome.promotion.promoted is False
    assert "the training was cancelled" in outcome.promotion.reasons
    assert registry.resolve("cells@2").open().manifest.metrics["dice"] is not None


def test_a_training_cancelled_before_it_begins_leaves_no_candidate(place, registry) -> None:
    (place / "cancel").touch()
    outcome = ordered(place, LONG)
    assert (outcome.cancelled, outcome.candidate, outcome.promotion.promoted) == (True, None, False)
    assert registry.model("cells").versions == (1,)


@pytest.mark.slow
def test_a_training_that_takes_too_much_memory_says_so(place, registry, datasets, tmp_path) -> None:
    datasets.create("large", Description(channel_names={"0": "MR"}, labels={"1": "rod"}), "anna")
    for number in range(2):
        voxels = np.zeros((320, 320, 320), np.int16)
        voxels[:9, :9, number : number + 9] = 100
        for name, content in (("image", voxels), ("label", (voxels > 50).astype(np.uint8))):
            nibabel.save(nibabel.Nifti1Image(content, np.eye(4)), tmp_path / f"{name}.nii")
        datasets.put_case("large", f"case_{number}", [tmp_path / "image.nii"], tmp_path / "label.nii", "anna")
    order = TrainOrder(dataset="large", name="rods", minutes=5)
    machine = Machine(FAST.share.model_copy(update={"memory": 2**30}))
    with pytest.raises(TrainingFailed, match=r"more memory than the 1\.00 GiB") as failed:
        retrain(order, place / "job", Stores(datasets, registry), machine)
    assert str(place) not in str(failed.value)


@pytest.mark.slow
def test_the_first_version_of_a_name_is_a_candidate_and_not_live(place, registry) -> None:
    with runner(place, LONG.model_copy(update={"name": "fresh", "promotion": "auto"})) as process:
        until_it_learns(process, place)
        (place / "cancel").touch()
        outcome = outcome_of(process)
    assert (outcome.candidate, outcome.promotion.promoted) == ("fresh@1", False)
    assert registry.model("fresh").live is None
    assert "there is no live version: the comparison is with the base" in outcome.promotion.reasons
    assert outcome.judgement.a == "good@1"


def test_cases_that_come_between_two_trainings_are_trained_on_and_frozen_ones_never(
    place, registry, datasets, more
) -> None:
    stores = Stores(datasets, registry)
    for job in ("first", "second"):
        (place / job).mkdir()
        begun = begin(LONG, place / job, stores, "tester")
        frozen = datasets.get("pictures").kept.frozen.cases
        snapshot = open_dataset(place / job / "dataset")
        split = split_cases(snapshot, place / job / "validation.txt")
        assert {case.name: image_checksum(case) for case in split.validation} == frozen
        assert len(split.training) == begun.training_cases
        for number in range(3):
            more(number)
    assert begun.training_cases == 8 + 3 - len(frozen)
    assert begin(LONG, place / "second", stores, "tester") == begun  # whatever came since


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"dataset": "nobody"}, DatasetUnknown),
        ({"from": "nobody"}, ModelUnknown),
        ({"from": "good@9"}, ModelUnknown),
        ({"replay": ["nobody"]}, DatasetUnknown),
        ({"replay": ["pictures"], "from": None}, UsageError),
        ({"dataset": "empty"}, UsageError),
    ],
)
def test_an_order_that_cannot_be_met_is_refused_before_anything_begins(place, datasets, changes, error) -> None:
    datasets.create("empty", Description(channel_names={"0": "MR"}, labels={"1": "rod"}), "anna")
    with pytest.raises(error):
        ordered(place, TrainOrder.model_validate({**ORDER, "minutes": 1, **changes}))
