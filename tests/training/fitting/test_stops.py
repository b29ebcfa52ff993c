"""Runs that end before their time, as real processes: none loses more than the last half minute."""

import random
import signal
import subprocess
import sys
import time

import pytest

from skipseg.models.bundle import load_bundle
from skipseg.models.errors import UsageError
from skipseg.training.phantoms import write_phantom_dataset
from skipseg.training.pipeline import TrainOptions, train

OFTEN = """
import sys
import skipseg.training.fitting.fit
from skipseg.service.cli import main
skipseg.training.fitting.fit.CHECKPOINT_SECONDS = 0.0
main()
"""  # the command line, saving after every step


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantoms")
    write_phantom_dataset(folder, cases=4, seed=0)
    return folder


def started(phantoms, out, *more):
    command = [sys.executable, "-c", OFTEN, "train", str(phantoms), "--out", str(out), "--device", "cpu", *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_run_that_is_killed_again_and_again_ends_with_the_weights_of_one_that_never_was(phantoms, tmp_path):
    whole = train(phantoms, tmp_path / "whole", TrainOptions(epochs=6, device="cpu", quiet=True))
    out, chance = tmp_path / "killed", random.Random(7)
    for _ in range(3):
        run = started(phantoms, out, "--epochs", "6", "--resume")
        told = iter(run.stderr)
        next(told, None)  # it has begun to read the data
        time.sleep(chance.uniform(0, 3))
        run.kill()
        run.communicate()
    run = started(phantoms, out, "--epochs", "6", "--resume")
    _, told = run.communicate(timeout=300)
    assert run.returncode == 0, told
    assert load_bundle(out).manifest.weights_sha256 == whole.manifest.weights_sha256
    assert not out.with_name("killed.training").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_or_asked_to_end_as_by_a_cluster_it_leaves_a_bundle_of_what_was_learned(phantoms, tmp_path, number):
    run = started(phantoms, tmp_path / "bundle", "--minutes", "30")
    seen = ""
    for line in run.stderr:
        seen += line
        if "training " in line and "step" in line:
            break
    run.send_signal(number)
    _, rest = run.communicate(timeout=300)
    assert run.returncode == 0, seen + rest
    assert "asked to stop" in rest
    assert "Traceback" not in seen + rest
    assert load_bundle(tmp_path / "bundle").manifest.training.steps > 0


def test_a_dice_to_aim_at_needs_cases_to_measure_it_on(tmp_path):
    write_phantom_dataset(tmp_path / "data", cases=1, seed=0)
    options = TrainOptions(epochs=1, target_dice=0.5, device="cpu", quiet=True)
    with pytest.raises(UsageError, match="--val-cases"):
        train(tmp_path / "data", tmp_path / "bundle", options)
