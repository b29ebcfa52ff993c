"""From a dataset to a bundle, on phantoms: every promise of ``train``."""

import csv
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from skipseg.models.bundle import load_bundle
from skipseg.models.errors import DatasetError, UsageError
from skipseg.models.inference.predictor import Predictor
from skipseg.models.scans.reader import read_scan
from skipseg.training.datasets.dataset import open_dataset
from skipseg.training.datasets.split import split_cases
from skipseg.training.fitting.cache import cache_cases
from skipseg.training.fitting.checkpoint import load_checkpoint
from skipseg.training.fitting.sampling import PatchSampler
from skipseg.training.fitting.spatial import SpatialSettings
from skipseg.training.phantoms import write_phantom_dataset, write_picture_dataset
from skipseg.training.pipeline import TrainOptions, train

COMMAND = [sys.executable, "-m", "skipseg", "train", "--device", "cpu"]
QUICK = {"epochs": 2, "device": "cpu", "quiet": True}


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    folder = tmp_path_factory.mktemp("phantoms")
    write_phantom_dataset(folder, cases=5, seed=0)
    return folder


@pytest.fixture(scope="module")
def bundle(phantoms, tmp_path_factory):
    return train(phantoms, tmp_path_factory.mktemp("out") / "bundle", TrainOptions(**QUICK))


def test_a_bundle_holds_weights_plan_record_card_and_evaluation(bundle, phantoms):
    found = load_bundle(bundle.folder)
    record = found.manifest.training
    assert len(record.cases) == 4
    assert len(record.validation_cases) == 1
    assert not set(record.cases) & set(record.validation_cases)
    assert record.software["torch"]
    assert set(found.manifest.metrics) >= {"dice", "hd95_mm", "nsd_1mm"}
    card = (found.folder / "card.md").read_text()
    assert "not a medical device" in card
    for name in ("metrics.json", "cases.csv", "report.html", "history.csv"):
        assert (found.folder / "evaluation" / name).stat().st_size > 0
    assert "http" not in (found.folder / "evaluation" / "report.html").read_text().replace("http://www.w3.org", "")


def test_nothing_is_left_beside_the_bundle(bundle):
    assert [path.name for path in bundle.folder.parent.iterdir()] == ["bundle"]


def test_the_history_tells_the_course_of_the_fit(bundle):
    with (bundle.folder / "evaluation" / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert int(rows[-1]["step"]) == bundle.manifest.training.steps
    assert all(float(row["loss"]) > 0 for row in rows)


def test_the_bundle_segments_a_scan_on_its_own_grid(bundle, phantoms):
    case = open_dataset(phantoms).cases[0]
    scan = read_scan(case.images[0])
    mask = Predictor(bundle, "cpu").segment(scan)
    assert mask.geometry is scan.geometry
    assert set(mask.voxels.ravel()) <= set(bundle.labels.values)


def test_equal_seeds_give_equal_weights(bundle, phantoms, tmp_path):
    again = train(phantoms, tmp_path / "again", TrainOptions(**QUICK))
    other = train(phantoms, tmp_path / "other", TrainOptions(**QUICK, seed=1))
    assert again.manifest.weights_sha256 == bundle.manifest.weights_sha256 != other.manifest.weights_sha256


def test_pictures_train_a_2d_network(tmp_path):
    write_picture_dataset(tmp_path / "data", cases=4, seed=0)
    bundle = train(tmp_path / "data", tmp_path / "bundle", TrainOptions(**QUICK))
    assert bundle.plan.dimensions == 2


DYING = """
import os, signal, sys
from skipseg.service.cli import main
from skipseg.training.fitting import fit
fit.CHECKPOINT_SECONDS = 0.0
saved = fit.save_checkpoint

def save(path, checkpoint):
    saved(path, checkpoint)
    if checkpoint.step == 2:
        os.kill(os.getpid(), signal.SIGKILL)

fit.save_checkpoint = save
sys.argv = ["skipseg", *sys.argv[1:]]
main()
"""  # the command line, saving after every step, and killed once two are saved


def test_a_killed_run_is_resumed_to_the_same_weights(phantoms, tmp_path):
    arguments = ["train", str(phantoms), "--epochs", "4", "--device", "cpu", "--out"]
    whole = train(phantoms, tmp_path / "whole", TrainOptions(**{**QUICK, "epochs": 4}))
    out = tmp_path / "killed"
    dying = [sys.executable, "-c", DYING, *arguments, str(out)]
    assert subprocess.run(dying, stderr=subprocess.DEVNULL, timeout=300).returncode == -signal.SIGKILL
    checkpoint = tmp_path / "killed.training" / "checkpoint.safetensors"
    assert load_checkpoint(checkpoint).step == 2 < whole.manifest.training.steps
    again = [sys.executable, "-m", "skipseg", *arguments, str(out)]
    refused = subprocess.run(again, capture_output=True, text=True, timeout=300)
    assert refused.returncode == 2
    assert "--resume" in refused.stderr
    subprocess.run([*again, "--resume"], check=True, capture_output=True, timeout=300)
    assert load_bundle(out).manifest.weights_sha256 == whole.manifest.weights_sha256


PLANNED = """
import sys, time
from skipseg.service.cli import main
from skipseg.training.runs import setup
explain = setup.explain
setup.explain = lambda plan: time.sleep(600) or explain(plan)
sys.argv = ["skipseg", *sys.argv[1:]]
main()
"""  # the command line, which pauses between plan and first step


def test_ctrl_c_before_the_first_step_says_how_to_go_on(phantoms, tmp_path):
    arguments = ["train", str(phantoms), "--device", "cpu", "--minutes", "30", "--out", str(tmp_path / "bundle")]
    child = subprocess.Popen([sys.executable, "-c", PLANNED, *arguments], stderr=subprocess.PIPE, text=True)
    next(line for line in child.stderr if "measuring" in line)
    child.send_signal(signal.SIGINT)
    _, rest = child.communicate(timeout=120)
    assert child.returncode == 1
    assert "--resume" in rest
    assert "Traceback" not in rest


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"minutes": 1, "epochs": 1}, "not both"),
        ({"minutes": 0}, "above 0"),
        ({"minutes": float("nan")}, "above 0"),
        ({"epochs": 1, "seed": -1}, "seed"),
        ({"epochs": 1, "device": "tpu"}, "device"),
        ({"epochs": 1, "fold": 9}, "fold"),
    ],
)
def test_a_wrong_wish_is_refused_with_the_reason(phantoms, tmp_path, options, words):
    with pytest.raises(UsageError, match=words):
        train(phantoms, tmp_path / "bundle", TrainOptions(**{"quiet": True, "device": "cpu", **options}))


@pytest.mark.parametrize("place", ["thesis", "thesis.training"])
def test_what_others_put_there_is_never_overwritten_or_removed(phantoms, tmp_path, place):
    (tmp_path / place).mkdir()
    (tmp_path / place / "chapter.txt").write_text("years of work")
    with pytest.raises(UsageError, match="choose another --out"):
        train(phantoms, tmp_path / "thesis", TrainOptions(**QUICK))
    assert (tmp_path / place / "chapter.txt").read_text() == "years of work"


def test_a_bundle_is_never_overwritten(bundle, phantoms):
    with pytest.raises(UsageError, match="nothing is overwritten"):
        train(phantoms, bundle.folder, TrainOptions(**QUICK))
    assert load_bundle(bundle.folder).manifest == bundle.manifest


def test_a_budget_that_reading_uses_up_leaves_no_bundle(phantoms, tmp_path):
    with pytest.raises(UsageError, match="no time for a single step"):
        train(phantoms, tmp_path / "bundle", TrainOptions(minutes=1e-4, device="cpu", quiet=True))
    assert not (tmp_path / "bundle").exists()


def test_many_cases_need_few_open_files(bundle, phantoms, tmp_path):
    files = cache_cases(open_dataset(phantoms), open_dataset(phantoms).cases, bundle.plan, tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    kept = [file for file in files for _ in range(50)]
    PatchSampler(kept, bundle.plan.tile, 8, 0, SpatialSettings()).draw(0)
    assert len(os.listdir("/proc/self/fd")) <= before + 2


def test_a_run_is_not_resumed_on_other_data(phantoms, tmp_path):
    out = tmp_path / "bundle"
    work = tmp_path / "bundle.training"
    work.mkdir()
    write_phantom_dataset(tmp_path / "other", cases=3, seed=9)
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    command = [*COMMAND, str(phantoms), "--minutes", "30", "--out", str(out)]
    child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while child.poll() is None and not (work / "setup.json").exists():
        time.sleep(0.05)
    child.kill()
    child.wait()
    with pytest.raises(UsageError, match="differ"):
        train(tmp_path / "other", out, TrainOptions(**QUICK, resume=True))


def test_splits_are_disjoint_complete_and_the_same_every_time(phantoms, tmp_path):
    dataset = open_dataset(phantoms)
    seen = []
    for fold in range(5):
        split = split_cases(dataset, fold=fold)
        assert not set(split.training) & set(split.validation)
        assert len(split.training) + len(split.validation) == 5
        seen += split.validation
    assert sorted(case.name for case in seen) == sorted(case.name for case in dataset.cases)
    listed = tmp_path / "cases.txt"
    listed.write_text(f"{dataset.cases[2].name}\n")
    assert [case.name for case in split_cases(dataset, validation=listed).validation] == [dataset.cases[2].name]
    listed.write_text("nobody\n")
    with pytest.raises(UsageError, match="keeps none out"):
        split_cases(replace(dataset, cases=dataset.cases[:3]), fold=4)
    with pytest.raises(DatasetError, match="nobody"):
        split_cases(dataset, validation=listed)
