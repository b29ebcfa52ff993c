"""Cross-validation and ensembles, on pictures with tiny networks: every promise of ``train_folds``."""

import csv
import json
import os
import signal
import subprocess
import sys

import pytest
import torch
from bundles import small_recipe
from safetensors.torch import load_file

from skipseg.models.bundle import load_bundle, save_bundle
from skipseg.models.errors import UsageError
from skipseg.models.inference.predictor import Predictor
from skipseg.models.networks.recipes import build
from skipseg.service.cli import run
from skipseg.training.datasets.dataset import open_dataset
from skipseg.training.datasets.split import draw_folds
from skipseg.training.phantoms import write_picture_dataset
from skipseg.training.pipeline import TrainOptions, train
from skipseg.training.runs.distil import Distillation, divergence
from skipseg.training.runs.evaluate import score
from skipseg.training.runs.progress import Display


@pytest.fixture(scope="module")
def ensemble(pictures, quick, tmp_path_factory):
    return train(pictures, tmp_path_factory.mktemp("out") / "ensemble", TrainOptions(**quick))


def told(folder):
    return json.loads((folder / "metrics.json").read_text())


def member_of(bundle, number, folder):
    """One network of an ensemble as a bundle of its own."""
    manifest, start = bundle.manifest, f"{number}."
    weights = load_file(bundle.folder / "weights.safetensors")
    state = {name.removeprefix(start): values for name, values in weights.items() if name.startswith(start)}
    fields = {name: getattr(manifest, name) for name in ("name", "task", "labels", "plan", "training")}
    return save_bundle(folder, state, lambda manifest: "#\n", **fields)


def test_the_folds_become_one_bundle_of_all_networks(ensemble, pictures):
    found = load_bundle(ensemble.folder).manifest
    names = {case.name for case in open_dataset(pictures).cases}
    assert found.members == 3
    assert set(found.training.cases) == names
    assert sorted(name for fold in found.training.folds for name in fold) == sorted(names)
    assert len(found.training.images_sha256) == 9
    assert [path.name for path in ensemble.folder.parent.iterdir()] == ["ensemble"]


def test_every_case_is_scored_by_the_one_network_that_has_not_learned_from_it(ensemble, pictures, tmp_path):
    dataset = open_dataset(pictures)
    dice = {case["case"]: case["labels"] for case in told(ensemble.folder / "evaluation")["cases"]}
    assert len(dice) == 9
    for number, fold in enumerate(draw_folds(dataset, 3)):
        member = Predictor(member_of(ensemble, number, tmp_path / str(number)), "cpu")
        again = score(member, "", dataset, fold.validation)
        for case in again.cases:
            assert {name: one.dice for name, one in case.labels.items()} == {
                name: one["dice"] for name, one in dice[case.case].items()
            }


def test_the_figures_have_intervals_and_the_card_says_whose_they_are(ensemble):
    metrics = told(ensemble.folder / "evaluation")
    low, high = metrics["intervals"]["mean"]["dice"]
    assert low < metrics["mean"]["dice"] < high
    assert ensemble.manifest.metrics["dice"] == metrics["mean"]["dice"]
    assert ensemble.manifest.training.measured == "out_of_fold"
    card = (ensemble.folder / "card.md").read_text()
    assert "3 networks" in card
    assert "figures are those of single networks" in " ".join(card.split())
    assert "Measured on the cases kept out" not in card


def test_one_history_tells_of_all_networks_in_turn(ensemble):
    with (ensemble.folder / "evaluation" / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    steps = [int(float(row["step"])) for row in rows]
    assert steps == sorted(steps)
    assert steps[-1] == ensemble.manifest.training.steps == 3 * 24


def test_members_begin_with_weights_of_their_own(ensemble):
    weights = load_file(ensemble.folder / "weights.safetensors")
    assert not torch.equal(weights["0.head.weight"], weights["1.head.weight"])


def test_the_command_line_evaluates_an_ensemble_and_segments_with_it(ensemble, pictures, tmp_path, capfd):
    write_picture_dataset(tmp_path / "others", cases=2, seed=100)
    arguments = [str(tmp_path / "others"), "--out", str(tmp_path / "scored"), "--device", "cpu"]
    assert run(["evaluate", str(ensemble.folder), *arguments]) == 0
    assert [case["case"] for case in told(tmp_path / "scored")["cases"]] == ["picture_000", "picture_001"]
    scan, mask = tmp_path / "others" / "images" / "picture_000.png", tmp_path / "mask.png"
    assert run(["segment", str(ensemble.folder), str(scan), "--out", str(mask), "--device", "cpu"]) == 0
    assert mask.read_bytes() == (tmp_path / "scored" / "masks" / "picture_000.png").read_bytes()


def test_groups_stay_together_and_intervals_are_drawn_over_them(pictures, quick, tmp_path):
    table = tmp_path / "groups.csv"
    names = [case.name for case in open_dataset(pictures).cases]
    table.write_text("case,group\n" + "".join(f"{name},{n // 2}\n" for n, name in enumerate(names)))
    bundle = train(pictures, tmp_path / "out", TrainOptions(**{**quick, "epochs": 1, "folds": 2, "groups": table}))
    for fold in bundle.manifest.training.folds:
        for n, name in enumerate(names[:8]):
            assert (name in fold) == (names[n ^ 1] in fold)
    assert told(bundle.folder / "evaluation")["intervals"]["drawn_by"] == "group"


def test_a_network_taught_by_the_ensemble_is_measured_on_cases_kept_out_of_all_folds(pictures, quick, tmp_path):
    kept = tmp_path / "kept.txt"
    kept.write_text("picture_002\npicture_007\n")
    bundle = train(pictures, tmp_path / "out", TrainOptions(**{**quick, "distil": True, "validation": kept}))
    found = load_bundle(bundle.folder).manifest
    assert (found.members, found.training.distilled_from, found.training.measured) == (1, 3, "kept_out")
    assert found.training.validation_cases == ("picture_002", "picture_007")
    assert not set(found.training.cases) & {"picture_002", "picture_007"}
    evaluation = bundle.folder / "evaluation"
    assert [case["case"] for case in told(evaluation)["cases"]] == ["picture_002", "picture_007"]
    assert len(told(evaluation / "out-of-fold")["cases"]) == 7
    again = score(Predictor(bundle, "cpu"), "", open_dataset(pictures), [open_dataset(pictures).cases[2]])
    assert again.cases[0].mean.dice == pytest.approx(_dice_of(told(evaluation), "picture_002"))
    card = (bundle.folder / "card.md").read_text()
    assert "taught by an ensemble of 3" in card
    assert "Measured on the cases kept out" in card


def _dice_of(metrics, name):
    (case,) = [case for case in metrics["cases"] if case["case"] == name]
    found = [label["dice"] for label in case["labels"].values() if label["dice"] is not None]
    return sum(found) / len(found)


def test_a_student_comes_to_answer_as_its_teacher_does():
    torch.manual_seed(0)
    recipe = small_recipe(2, 1, 3, deep_supervision=False)
    teacher, student = build(recipe), build(recipe)
    teach = Distillation(teacher, torch.device("cpu"), "fp32")
    optimiser, found = torch.optim.AdamW(student.parameters(), 1e-2), []
    for _ in range(40):
        images = torch.randn(4, 1, 16, 16)
        logits = student(images)
        with torch.no_grad():
            found.append(float(divergence(logits, teacher(images))))
        loss = teach(torch.zeros(()), images, logits)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert found[-1] < 0.5 * found[0]
    assert all(weights.grad is None for weights in teacher.parameters())


def test_divergence_is_zero_for_equal_answers_and_grows_with_the_difference():
    logits = torch.randn(2, 3, 4, 4)
    assert float(divergence(logits, logits + 5)) == pytest.approx(0, abs=1e-6)
    assert 0 < float(divergence(logits, logits * 1.5)) < float(divergence(logits, -logits))


DYING = """
import os, signal, sys
from skipseg.service.cli import main
from skipseg.training.fitting import fit
fit.CHECKPOINT_SECONDS = 0.0
saved = fit.save_checkpoint

def save(path, checkpoint):
    saved(path, checkpoint)
    if (path.parent.name, checkpoint.step) == ("fold-2", 5):
        os.kill(os.getpid(), signal.SIGKILL)

fit.save_checkpoint = save
sys.argv = ["skipseg", *sys.argv[1:]]
main()
"""  # the command line, saving after every step, and killed once five of the second fold are saved


def test_killed_in_the_second_fold_it_is_resumed_there_to_the_same_weights(
    ensemble, pictures, quick, tiny_plan, tmp_path, monkeypatch
):
    out, work = tmp_path / "killed", tmp_path / "killed.training"
    arguments = ["train", str(pictures), "--epochs", "8", "--folds", "3", "--plan", str(tiny_plan)]
    arguments += ["--device", "cpu", "--out", str(out)]
    killed = subprocess.run([sys.executable, "-c", DYING, *arguments], stderr=subprocess.DEVNULL, timeout=300)
    assert killed.returncode == -signal.SIGKILL
    assert not out.exists()
    assert not (work / "fold-2" / "member").exists()
    with pytest.raises(UsageError, match="--resume"):
        train(pictures, out, TrainOptions(**quick))
    for wish, words in (({"folds": 2}, "begun with --folds 3"), ({"folds": None}, "begun with --folds 3")):
        with pytest.raises(UsageError, match=words):
            train(pictures, out, TrainOptions(**{**quick, **wish, "resume": True}))
    seen = interrupting(monkeypatch, fold=3, step=10**9)
    bundle = train(pictures, out, TrainOptions(**{**quick, "resume": True}))
    assert "fold 1 of 3: finished before" in seen
    assert bundle.manifest.weights_sha256 == ensemble.manifest.weights_sha256


def interrupting(monkeypatch, fold, step):
    """Ctrl-C in a fold, once a step is reached."""
    heard, seen = Display.say, []

    def say(self, text):
        seen.append(text)
        heard(self, text)

    def moment(self, moment):
        if moment.step >= step and any(text.startswith(f"fold {fold} ") for text in seen):
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Display, "say", say)
    monkeypatch.setattr(Display, "moment", moment)
    return seen


def test_ctrl_c_early_in_a_fold_leaves_the_finished_networks(ensemble, pictures, quick, tmp_path, monkeypatch):
    seen = interrupting(monkeypatch, fold=3, step=2)
    bundle = train(pictures, tmp_path / "out", TrainOptions(**quick))
    assert "interrupted: the bundle is made of 2 of 3 networks" in seen
    assert bundle.manifest.members == 2
    assert len(bundle.manifest.training.folds) == 2
    assert len(told(bundle.folder / "evaluation")["cases"]) == 6
    whole, kept = (load_file(one.folder / "weights.safetensors") for one in (ensemble, bundle))
    assert all(torch.equal(kept[name], whole[name]) for name in kept)


def test_ctrl_c_late_in_a_fold_keeps_its_averaged_weights_too(pictures, quick, tmp_path, monkeypatch):
    interrupting(monkeypatch, fold=2, step=22)
    bundle = train(pictures, tmp_path / "out", TrainOptions(**quick))
    assert bundle.manifest.members == 2
    assert 24 + 22 <= bundle.manifest.training.steps < 48


def test_ctrl_c_late_in_the_last_fold_is_no_wish_to_go_on_distilling(pictures, quick, tmp_path, monkeypatch):
    seen = interrupting(monkeypatch, fold=3, step=22)
    found = train(pictures, tmp_path / "out", TrainOptions(**{**quick, "distil": True})).manifest
    assert (found.members, found.training.distilled_from) == (3, 0)
    assert not any(text.startswith("distilling") for text in seen)


def test_ctrl_c_in_the_first_fold_leaves_one_network_and_the_cases_it_was_measured_on(
    pictures, quick, tmp_path, monkeypatch
):
    interrupting(monkeypatch, fold=1, step=3)
    found = train(pictures, tmp_path / "out", TrainOptions(**{**quick, "distil": True})).manifest
    assert (found.members, found.training.distilled_from) == (1, 0)
    assert 3 <= found.training.steps < 24
    assert (len(found.training.cases), len(found.training.validation_cases)) == (6, 3)
    assert found.training.measured == "kept_out"


def test_ctrl_c_while_distilling_leaves_the_ensemble(ensemble, pictures, quick, tmp_path, monkeypatch):
    seen = interrupting(monkeypatch, fold=3, step=10**9)
    usual = Display.moment

    def moment(self, moment):
        if any(text.startswith("distilling") for text in seen):
            os.kill(os.getpid(), signal.SIGINT)
        usual(self, moment)

    monkeypatch.setattr(Display, "moment", moment)
    bundle = train(pictures, tmp_path / "out", TrainOptions(**{**quick, "distil": True}))
    assert bundle.manifest.weights_sha256 == ensemble.manifest.weights_sha256
    assert bundle.manifest.members == 3
