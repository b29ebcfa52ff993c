"""Several processes train as one would with their batches together; a lost one loses the run nothing."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fitting import main
from safetensors.torch import load_file
from torch.testing import assert_close

from skipseg.models.bundle import load_bundle
from skipseg.models.errors import UsageError
from skipseg.training.fitting.checkpoint import load_checkpoint
from skipseg.training.phantoms import write_phantom_dataset
from skipseg.training.pipeline import TrainOptions, train

TESTS = Path(__file__).parents[2]
TWO = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
QUIET = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(TESTS)}


def losses(folder):
    with (folder / "history.csv").open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def test_two_processes_learn_what_one_learns_from_the_doubled_batch(tmp_path, monkeypatch):
    ways = ["3d", "2d", "sharded"]  # in 2D Dice is taken over the whole batch, which no process sees
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr("skipseg.training.fitting.fit.CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(sys, "argv", ["fitting", str(tmp_path / "one"), "15", *ways[:2]])
    main()
    command = [*TWO, str(TESTS / "fitting.py"), str(tmp_path / "two"), "15", *ways]
    subprocess.run(command, check=True, env=QUIET, timeout=300, capture_output=True)
    for way in ways:
        alone = tmp_path / "one" / way.replace("sharded", "3d")
        assert losses(tmp_path / "two" / way) == pytest.approx(losses(alone), rel=1e-4)
        ours, theirs = (load_file(place / "fitted.safetensors") for place in (tmp_path / "two" / way, alone))
        assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


OFTEN = """
import os, signal
from skipseg.service.cli import main
from skipseg.training.fitting import fit
fit.CHECKPOINT_SECONDS = 0.0
saved = fit.Fit._save

def save(self):
    saved(self)
    if self.step == 3 and os.environ["RANK"] == os.environ.get("LOST"):
        os.kill(os.getpid(), signal.SIGKILL)

fit.Fit._save = save
main()
"""  # the command line, saving after every step; the process LOST is killed after the third


def test_a_run_that_lost_a_process_is_resumed(tmp_path):
    write_phantom_dataset(tmp_path / "data", cases=5, seed=0)
    (tmp_path / "often.py").write_text(OFTEN)
    out, checkpoint = tmp_path / "bundle", tmp_path / "bundle.training" / "checkpoint.safetensors"
    command = [*TWO, str(tmp_path / "often.py"), "train", str(tmp_path / "data"), "--out", str(out)]
    command += ["--device", "cpu", "--epochs", "10"]
    run = subprocess.run(
        [*command, "--epochs", "10"], env={**QUIET, "LOST": "1"}, timeout=300, capture_output=True, text=True
    )
    assert run.returncode != 0
    assert "Signal 9 (SIGKILL)" in run.stderr
    reached = load_checkpoint(checkpoint).step
    assert not out.exists()
    again = subprocess.run(
        [*command, "--epochs", "20", "--resume"], env=QUIET, timeout=300, capture_output=True, text=True
    )
    assert again.returncode == 0, again.stderr
    assert again.stdout.count(f"{out}: phantoms") == 1  # one process tells
    assert load_bundle(out).manifest.training.steps > reached
    assert not out.with_name("bundle.training").exists()


def test_a_network_is_not_split_by_one_process(tmp_path):
    with pytest.raises(UsageError, match="torchrun"):
        train(tmp_path, tmp_path / "bundle", TrainOptions(epochs=1, device="cpu", shard=True, quiet=True))
