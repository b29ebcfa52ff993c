"""The fitting loop: it learns, keeps its budget, and goes on after a kill as if nothing had been."""

import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from bundles import small_recipe

from skipseg.models.errors import DatasetError
from skipseg.models.networks.recipes import build
from skipseg.training.cache import CachedCase
from skipseg.training.checkpoint import load_checkpoint
from skipseg.training.feed import Feed
from skipseg.training.fit import Fit, FitSettings
from skipseg.training.sampling import PatchSampler
from skipseg.training.schedule import Budget, learning_rate
from skipseg.training.spatial import SpatialSettings


def cubes(count=6, side=16):
    """Cases in which a bright cube somewhere is the label."""
    chance = np.random.default_rng(0)
    found = []
    for _ in range(count):
        classes = np.zeros((side,) * 3, np.uint8)
        x, y, z = chance.integers(2, 8, 3)
        classes[x : x + 6, y : y + 6, z : z + 6] = 1
        image = (classes + chance.normal(0, 0.3, classes.shape)).astype(np.float16)
        found.append(CachedCase(image[None], classes, (np.argwhere(classes).astype(np.int32),)))
    return found


def fit(folder, budget, cases=None, **more):
    torch.manual_seed(0)
    sampler = PatchSampler(cases or cubes(), (16, 16, 16), 2, 0, SpatialSettings())
    network = build(small_recipe(3, 1, 2))
    checkpoint = folder / "checkpoint.safetensors"
    return Fit(network, sampler, budget, FitSettings(), torch.device("cpu"), "fp32", checkpoint, **more)


def test_it_learns_a_cube(tmp_path):
    fitted = fit(tmp_path, Budget(steps=300)).run()
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
    whole = fit(tmp_path / "whole", Budget(steps=30)).run()
    part = fit(tmp_path / "parts", Budget(steps=30))
    with Feed(part.sampler, 0, torch.device("cpu")) as feed:
        for _ in range(11):
            part._learn(*next(feed), part.budget.progress(part.step))
            part.step += 1
    part._save()
    resumed = fit(tmp_path / "parts", Budget(steps=30))
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
    fitted = fit(tmp_path, Budget(seconds=60, spent=20, clock=clock)).run()
    assert 39 < clock.now < 42
    assert 58 < fitted.seconds < 62
    assert fitted.history[-1]["learning_rate"] < 2e-4
    assert fitted.history[0]["learning_rate"] > 0


def test_a_step_with_gradients_that_are_not_finite_is_left_out(tmp_path):
    cases = cubes()
    cases[0].image[0, 3, 3, 3] = np.inf
    fitted = fit(tmp_path, Budget(steps=24), cases=cases).run()
    assert all(torch.isfinite(values).all() for values in fitted.weights.values())
    assert all(math.isfinite(row["loss"]) for row in fitted.history)


def test_data_that_never_give_a_finite_loss_end_the_fit_with_the_reason(tmp_path):
    cases = cubes()
    for case in cases:
        case.image[:] = np.inf
    with pytest.raises(DatasetError, match="not finite"):
        fit(tmp_path, Budget(steps=100), cases=cases).run()


def test_validation_is_looked_at_on_the_way_and_told_to_those_who_watch(tmp_path):
    looked, told = [], []

    def validate(weights):
        looked.append(len(weights))
        return 0.5

    fitted = fit(tmp_path, Budget(steps=40), validate=validate, watch=told.append).run()
    assert 1 <= len(looked) <= 9
    assert [row["dice"] for row in fitted.history].count(0.5) == len(looked)
    assert told[-1].dice == 0.5
    assert [moment.step for moment in told] == sorted(moment.step for moment in told)


CHILD = """
import sys, pathlib
sys.path.insert(0, sys.argv[2])
from test_fit import fit
from skipseg.training.schedule import Budget
import skipseg.training.fit as module
module.CHECKPOINT_SECONDS = 0.0
fit(pathlib.Path(sys.argv[1]), Budget(steps=60)).run()
"""


def test_killed_at_any_moment_it_leaves_a_checkpoint_that_goes_on_to_the_same_end(tmp_path):
    here = os.path.dirname(__file__)
    paths = os.pathsep.join([here, os.path.dirname(here)])
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    whole = fit(tmp_path / "whole", Budget(steps=60)).run()
    checkpoint = tmp_path / "killed" / "checkpoint.safetensors"
    for wanted in (5, 20):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path / "killed"), here], env={**os.environ, "PYTHONPATH": paths}
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and child.poll() is None:
            if checkpoint.exists() and load_checkpoint(checkpoint).step >= wanted:
                break
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert load_checkpoint(checkpoint).step >= wanted
    rest = fit(tmp_path / "killed", Budget(steps=60)).run()
    for name, values in whole.weights.items():
        torch.testing.assert_close(rest.weights[name], values, rtol=0, atol=0)


@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
def test_the_rate_warms_up_and_follows_a_cosine(progress):
    assert learning_rate(1.0, 0, 10, progress) <= 0.1
    assert learning_rate(1.0, 100, 10, progress) == pytest.approx({0.0: 1, 0.5: 0.5, 1.0: 0}[progress], abs=1e-9)
