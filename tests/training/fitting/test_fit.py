"""The fitting loop: it learns, keeps its budget, and goes on after a kill as if nothing had been."""

import math
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from bundles import small_recipe
from fitting import cubes, make_fit

from skipseg.models.errors import DatasetError
from skipseg.models.networks.recipes import build
from skipseg.training.fitting.checkpoint import load_checkpoint
from skipseg.training.fitting.feed import Feed
from skipseg.training.fitting.schedule import Budget, CoolDown, learning_rate


def test_it_learns_a_cube(tmp_path):
    fitted = make_fit(tmp_path, Budget(steps=300)).run()
    assert fitted.steps == 300
    assert fitted.history[-1]["loss"] < 0.5 * fitted.history[0]["loss"]
    network = build(small_recipe(3, 1, 2)).eval()
    network.load_state_dict(fitted.weights)
    case = cubes()[0]
    with torch.inference_mode():
        found = network(torch.from_numpy(case.image.astype(np.float32))[None]).argmax(1)[0].numpy()
    assert 2 * (found & case.classes).sum() / (found.sum() + case.classes.sum()) > 0.85


def test_a_resumed_fit_ends_with_the_weights_of_an_undisturbed_one(tmp_path):
    (tmp_path / "whole").mkdir()
    (tmp_path / "parts").mkdir()
    whole = make_fit(tmp_path / "whole", Budget(steps=30)).run()
    part = make_fit(tmp_path / "parts", Budget(steps=30))
    with Feed(part.sampler, 0, torch.device("cpu")) as feed:
        for _ in range(11):
            part._learn(*next(feed), part.budget.progress(part.step))
            part.step += 1
    part._save()
    resumed = make_fit(tmp_path / "parts", Budget(steps=30))
    assert resumed.step == 11
    rest = resumed.run()
    for name, values in whole.weights.items():
        torch.testing.assert_close(rest.weights[name], values, rtol=0, atol=0)


class Clock:
    """A clock that goes on by a tenth of a second each time it is looked at."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 0.1
        return self.now


def test_minutes_are_kept_and_the_learning_rate_ends_near_zero(tmp_path):
    clock = Clock()
    fitted = make_fit(tmp_path, Budget(seconds=60, spent=20, clock=clock)).run()
    assert 39 < clock.now < 42
    assert 58 < fitted.seconds < 62
    assert fitted.history[-1]["learning_rate"] < 2e-4
    assert fitted.history[0]["learning_rate"] > 0


def test_a_step_with_gradients_that_are_not_finite_is_left_out(tmp_path):
    cases = cubes()
    cases[0].image[0, 3, 3, 3] = np.inf
    fitted = make_fit(tmp_path, Budget(steps=24), cases=cases).run()
    assert all(torch.isfinite(values).all() for values in fitted.weights.values())
    assert all(math.isfinite(row["loss"]) for row in fitted.history)


def test_data_that_never_give_a_finite_loss_end_the_fit_with_the_reason(tmp_path):
    cases = cubes()
    for case in cases:
        case.image[:] = np.inf
    with pytest.raises(DatasetError, match="not finite"):
        make_fit(tmp_path, Budget(steps=100), cases=cases).run()


def test_validation_is_looked_at_on_the_way_and_told_to_those_who_watch(tmp_path):
    looked, told = [], []

    def validate(weights):
        looked.append(len(weights))
        return 0.5

    fitted = make_fit(tmp_path, Budget(steps=40), validate=validate, watch=told.append).run()
    assert 1 <= len(looked) <= 9
    assert [row["dice"] for row in fitted.history].count(0.5) == len(looked)
    assert told[-1].dice == 0.5
    assert [moment.step for moment in told] == sorted(moment.step for moment in told)


CHILD = """
import sys, pathlib
from fitting import make_fit
from skipseg.training.fitting.schedule import Budget
import skipseg.training.fitting.fit as module
module.CHECKPOINT_SECONDS = 0.0
make_fit(pathlib.Path(sys.argv[1]), Budget(steps=60)).run()
"""


def test_killed_at_any_moment_it_leaves_a_checkpoint_that_goes_on_to_the_same_end(tmp_path):
    paths = str(Path(__file__).parents[2])
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    whole = make_fit(tmp_path / "whole", Budget(steps=60)).run()
    checkpoint = tmp_path / "killed" / "checkpoint.safetensors"
    for wanted in (5, 20):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path / "killed")], env={**os.environ, "PYTHONPATH": paths}
        )
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and child.poll() is None:
            if checkpoint.exists() and load_checkpoint(checkpoint).step >= wanted:
                break
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert load_checkpoint(checkpoint).step >= wanted
    rest = make_fit(tmp_path / "killed", Budget(steps=60)).run()
    for name, values in whole.weights.items():
        torch.testing.assert_close(rest.weights[name], values, rtol=0, atol=0)


@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
def test_the_rate_warms_up_and_follows_a_cosine(progress):
    assert learning_rate(1.0, 0, 10, progress) <= 0.1
    assert learning_rate(1.0, 100, 10, progress) == pytest.approx({0.0: 1, 0.5: 0.5, 1.0: 0}[progress], abs=1e-9)


def test_a_dice_that_is_reached_ends_the_fit_after_a_cool_down(tmp_path):
    (tmp_path / "reached").mkdir()
    fitted = make_fit(tmp_path / "reached", Budget(steps=5000), validate=lambda weights: 0.9, target=0.8).run()
    assert fitted.reached
    assert fitted.steps == 10 + 20  # the first look, and the shortest cool-down
    assert fitted.history[-1]["learning_rate"] < 0.2 * fitted.history[0]["learning_rate"]
    never = make_fit(tmp_path, Budget(steps=60), validate=lambda weights: 0.7, target=0.8).run()
    assert not never.reached
    assert never.steps == 60


def test_a_cool_down_goes_on_where_it_was_cut_off(tmp_path):
    first = make_fit(tmp_path, Budget(steps=5000), validate=lambda weights: 0.9, target=0.8)
    first.step, first.cooling = 100, CoolDown.after(100)
    first._save()
    fitted = make_fit(tmp_path, Budget(steps=5000), validate=lambda weights: 0.1, target=0.8).run()
    assert fitted.steps == 120


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_it_ends_after_the_step_with_what_was_learned(tmp_path, number):
    def ask(moment):
        if moment.step == 5:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    fitted = make_fit(tmp_path, Budget(steps=200), watch=ask).run()
    assert fitted.interrupted
    assert fitted.steps in (5, 6)  # the signal comes while the sixth is about to begin
    assert load_checkpoint(tmp_path / "checkpoint.safetensors").step == fitted.steps
    assert signal.getsignal(number) == before


def test_a_full_disk_is_told_once_and_does_not_end_the_fit(tmp_path, monkeypatch):
    monkeypatch.setattr("skipseg.training.fitting.fit.CHECKPOINT_SECONDS", 0.0)
    told = []
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))  # as if nothing larger had room
    try:
        fitted = make_fit(tmp_path, Budget(steps=10), say=told.append).run()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert fitted.steps == 10
    assert len(told) == 1
    assert "cannot be written" in told[0]
    assert not list(tmp_path.iterdir())


def test_time_without_data_is_counted(tmp_path):
    fast = make_fit(tmp_path, Budget(steps=5))
    slow = make_fit(tmp_path, Budget(steps=5))
    drawn = slow.sampler.draw
    slow.sampler.draw = lambda step: (time.sleep(0.2), drawn(step))[1]
    fitted = slow.run()
    assert fitted.waited >= 5 * 0.2 > fast.run().waited
    assert fitted.history[-1]["waited"] == pytest.approx(fitted.waited, abs=0.01)
