"""A training that goes on from a bundle, on phantoms and a network small enough to be quick."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from bundles import small_bundle, small_plan, small_recipe

from skipseg.models.bundle import BaseRecord, load_bundle, save_bundle
from skipseg.models.errors import PlanError, UsageError
from skipseg.models.labels import Labels
from skipseg.models.networks.ensemble import joined
from skipseg.models.plan import Channel, CleanUp
from skipseg.training.datasets.dataset import image_checksum, open_dataset
from skipseg.training.fitting import fit
from skipseg.training.phantoms import write_phantom_dataset, write_picture_dataset
from skipseg.training.pipeline import TrainOptions, train
from skipseg.training.planning.overrides import Overrides
from skipseg.training.runs.progress import Display
from skipseg.training.runs.retrain import Retraining

QUICK = {"device": "cpu", "quiet": True}
FAST = {"learning_rate": 4e-3, "batch": 4}  # a plan file for a network this small
NAMES = {0: "background", 1: "organ", 2: "lesion", 3: "vessel"}


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    folder = tmp_path_factory.mktemp("old")
    write_phantom_dataset(folder, cases=6, seed=0)
    return folder


@pytest.fixture(scope="module")
def new(tmp_path_factory):
    folder = tmp_path_factory.mktemp("new")
    write_phantom_dataset(folder, cases=6, seed=50)
    return folder


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """A bundle of random weights whose small plan suits the phantoms."""
    plan = small_plan(3, 1, 4, spacing=(2.5,) * 3, tile=(16,) * 3, network=small_recipe(3, 1, 4, widths=(8, 16, 24)))
    made = small_bundle(tmp_path_factory.mktemp("untrained") / "bundle", plan)
    fields = {name: getattr(made.manifest, name) for name in ("name", "task", "plan", "training")}
    return save_bundle(
        made.folder, made.network().state_dict(), lambda _: "", labels=Labels.from_names(NAMES), **fields
    )


@pytest.fixture(scope="module")
def fast():
    return Overrides.model_validate(FAST)


@pytest.fixture(scope="module")
def base(old, untrained, fast, tmp_path_factory):
    """What six phantoms taught it, one of them kept out."""
    out = tmp_path_factory.mktemp("base") / "bundle"
    return train(old, out, TrainOptions(**QUICK, epochs=48, base=untrained.folder, overrides=fast))


def relabelled(source: Path, folder: Path, names: dict[int, str], values: dict[int, int]) -> Path:
    """A dataset whose labels are numbered and named anew; values that ``values`` leaves out become background."""
    shutil.copytree(source, folder)
    for path in (folder / "labelsTr").iterdir():
        image = nibabel.load(path)
        table = np.array([values.get(value, 0) for value in range(4)], np.uint8)
        nibabel.save(nibabel.Nifti1Image(table[np.asarray(image.dataobj)], image.affine), path)
    described = json.loads((folder / "dataset.json").read_text())
    labels = {"0": "background"} | {str(value): name for value, name in names.items()}
    (folder / "dataset.json").write_text(json.dumps(described | {"labels": labels, "name": folder.name}))
    return folder


def gains(bundle):
    return json.loads((bundle.folder / "evaluation" / "gains.json").read_text())["judged"]


def test_retrained_is_better_than_before_and_than_from_scratch_in_the_same_steps(base, untrained, fast, new, tmp_path):
    options = TrainOptions(**QUICK, epochs=24, base=base.folder, overrides=fast)
    retrained = train(new, tmp_path / "retrained", options)
    scratch = train(new, tmp_path / "scratch", replace(options, base=untrained.folder))
    (judged,) = gains(retrained)
    assert judged["kind"] == "new"
    assert judged["mean"]["after"] > judged["mean"]["before"]
    assert retrained.manifest.metrics["dice"] > scratch.manifest.metrics["dice"]
    record = retrained.manifest.training
    assert record.base.weights_sha256 == base.manifest.weights_sha256
    assert record.learned == set(record.images_sha256) | base.manifest.training.learned
    assert retrained.plan.model_copy(update={"mirrored_axes": base.plan.mirrored_axes}) == base.plan
    assert "Training went on from" in (retrained.folder / "card.md").read_text()


def test_an_added_label_is_learned_and_an_old_one_kept_by_replay(base, old, new, tmp_path):
    only_lesions = relabelled(new, tmp_path / "lesions", {1: "Lesion", 2: "gland"}, {2: 1, 1: 2})
    options = TrainOptions(**QUICK, epochs=1, base=base.folder, replay=(old,))
    bundle = train(only_lesions, tmp_path / "bundle", options)
    assert [(label.value, label.name) for label in bundle.labels.foreground] == [
        (1, "Lesion"),
        (2, "gland"),
        (3, "vessel"),
        (4, "organ"),
    ]
    record = bundle.manifest.training
    assert record.replay[0].cases
    assert set(record.ranges.labels) == {"Lesion", "gland", "vessel", "organ"}
    low, high = base.manifest.training.ranges.labels["lesion"].volume_mm3
    assert record.ranges.labels["Lesion"].volume_mm3[0] <= low
    assert record.ranges.labels["Lesion"].volume_mm3[1] >= high
    there = {(one["kind"], one["dataset"]): one for one in gains(bundle)}
    labels = {gain["label"]: gain for gain in there["old", "Phantoms"]["labels"]}
    assert set(labels) == {"organ", "lesion", "vessel"}
    assert all(gain["before"] is not None and gain["after"] is not None for gain in labels.values())
    added = {gain["label"]: gain for gain in there["new", "lesions"]["labels"]}
    assert added["gland"]["before"] is None
    assert added["gland"]["after"] is not None
    assert added["Lesion"]["difference"] is not None
    page = (bundle.folder / "evaluation" / "gains.html").read_text()
    assert "vessel" in page
    assert "vessel" in (bundle.folder / "card.md").read_text().split("Gained and lost")[1]


def test_without_replay_the_labels_are_the_datasets_alone(base, new, tmp_path):
    fewer = relabelled(new, tmp_path / "vessels", {1: "VESSEL"}, {3: 1})
    bundle = train(fewer, tmp_path / "bundle", TrainOptions(**QUICK, epochs=20, base=base.folder, freeze_encoder=True))
    assert [label.name for label in bundle.labels.foreground] == ["VESSEL"]
    before, after = base.network().state_dict(), bundle.network().state_dict()
    still = {name for name in before if before[name].shape == after[name].shape and before[name].equal(after[name])}
    assert {name for name in before if name.startswith(("contracting", "bottom"))} <= still
    assert not all(name in still for name in before if name.startswith("expanding"))


def test_cases_that_the_base_learned_from_are_never_kept_out(base, old, new, tmp_path):
    grown = tmp_path / "grown"
    shutil.copytree(new, grown)
    listed = []
    for number, case in enumerate(open_dataset(old).cases):
        shutil.copy(case.images[0], grown / "imagesTr" / f"again_{number}.nii.gz")
        shutil.copy(case.label, grown / "labelsTr" / f"again_{number}.nii.gz")
        listed.append(f"again_{number}")
    described = json.loads((grown / "dataset.json").read_text())
    described["training"] += [
        {"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in listed
    ]
    (grown / "dataset.json").write_text(json.dumps(described))
    bundle = train(grown, tmp_path / "bundle", TrainOptions(**QUICK, epochs=1, base=base.folder))
    known, record = {case.name: image_checksum(case) for case in open_dataset(grown).cases}, base.manifest.training
    apart = {known[name] for name in bundle.manifest.training.validation_cases}
    assert not apart & record.learned
    assert set(record.validation_images_sha256) < apart
    assert [one["kind"] for one in gains(bundle)] == ["old", "new"]


def test_a_resumed_run_goes_on_from_the_bundle_it_began_with(base, new, tmp_path, monkeypatch):
    copy = tmp_path / "copy"
    shutil.copytree(base.folder, copy)
    options = {**QUICK, "epochs": 20, "freeze_encoder": True}
    whole = train(new, tmp_path / "whole", TrainOptions(**options, base=copy))

    def pulled_the_plug(display, moment):
        if moment.step == 3:
            raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(fit, "CHECKPOINT_SECONDS", 0.0)
        patch.setattr(Display, "moment", pulled_the_plug)
        with pytest.raises(RuntimeError):
            train(new, tmp_path / "cut", TrainOptions(**options, base=copy))
    shutil.rmtree(copy)
    with pytest.raises(UsageError, match="replay"):
        train(new, tmp_path / "cut", TrainOptions(**QUICK, resume=True, replay=(new,)))
    resumed = train(new, tmp_path / "cut", TrainOptions(**QUICK, resume=True))
    assert resumed.manifest.weights_sha256 == whole.manifest.weights_sha256
    assert resumed.manifest.training.base == whole.manifest.training.base


def test_data_that_do_not_fit_the_base_are_refused_with_what_to_do(base, new, tmp_path):
    write_picture_dataset(tmp_path / "pictures", cases=3, seed=0)
    with pytest.raises(PlanError, match="without --from"):
        train(tmp_path / "pictures", tmp_path / "out", TrainOptions(**QUICK, epochs=1, base=base.folder))
    two = small_bundle(tmp_path / "two", small_plan(3, 2, 4))
    with pytest.raises(PlanError, match="takes 2 channels"):
        train(new, tmp_path / "out", TrainOptions(**QUICK, epochs=1, base=two.folder))
    ct = Channel(name="CT", normalisation="fixed", low=-90000, high=-80000, mean=-85000, std=10)
    other = small_bundle(tmp_path / "ct", small_plan(3, 1, 4, channels=(ct,)))
    with pytest.raises(PlanError, match="same unit"):
        train(new, tmp_path / "out", TrainOptions(**QUICK, epochs=1, base=other.folder))
    with pytest.raises(UsageError, match="--from"):
        train(new, tmp_path / "out", TrainOptions(**QUICK, epochs=1, freeze_encoder=True))
    assert load_bundle(base.folder).manifest == base.manifest


def test_of_an_ensemble_the_first_network_is_the_start(base, untrained, new, tmp_path, capfd):
    fields = {name: getattr(base.manifest, name) for name in ("name", "task", "labels", "plan", "training")}
    states = [base.network().state_dict(), untrained.network().state_dict()]
    ensemble = save_bundle(tmp_path / "two", joined(states), lambda _: "", members=2, **fields)
    options = TrainOptions(device="cpu", epochs=1, base=ensemble.folder, freeze_encoder=True)
    bundle = train(new, tmp_path / "out", options)
    assert "ensemble of 2 networks" in capfd.readouterr().err
    assert bundle.manifest.members == 1
    after = bundle.network().state_dict()
    assert all(values.equal(after[name]) for name, values in states[0].items() if name.startswith("contracting"))


def test_other_channel_names_and_flattering_cases_come_with_a_word(base, old, new, tmp_path, capfd):
    loud = {"device": "cpu", "epochs": 1, "base": base.folder}
    renamed = relabelled(new, tmp_path / "renamed", {1: "organ"}, {1: 1})
    described = json.loads((renamed / "dataset.json").read_text())
    (renamed / "dataset.json").write_text(json.dumps(described | {"modality": {"0": "T2"}}))
    train(renamed, tmp_path / "a", TrainOptions(**loud))
    told = capfd.readouterr().err
    assert "called T2" in told
    assert "left out lesion, vessel" in told
    assert "--replay" in told
    (tmp_path / "named.txt").write_text(base.manifest.training.cases[0])
    train(old, tmp_path / "b", TrainOptions(**loud, validation=tmp_path / "named.txt"))
    assert "1 cases to validate on are ones the base learned from" in capfd.readouterr().err
    assert not (tmp_path / "b" / "evaluation" / "gains.json").exists()


def test_a_label_that_names_a_side_in_replayed_cases_alone_rules_mirroring_out(base, old, new, tmp_path, capsys):
    sided = relabelled(old, tmp_path / "sided", {1: "left organ"}, {1: 1})
    heard = {"device": "cpu", "epochs": 1, "base": base.folder}
    train(new, tmp_path / "plain", TrainOptions(**heard))
    assert "mirroring along" in capsys.readouterr().err
    train(new, tmp_path / "both", TrainOptions(**heard, replay=(sided,)))
    assert "no mirroring" in capsys.readouterr().err


def test_what_the_base_mends_is_mended_in_the_labels_that_are_left_under_their_names_of_now(tmp_path):
    rules = {f"label {value}": CleanUp(keep_largest=True) for value in (1, 2)}
    base = small_bundle(tmp_path / "base", small_plan(cleanup=rules))
    labels = Labels.from_names({0: "background", 1: "LABEL 2", 2: "vessel"})
    record = BaseRecord(name="base", weights_sha256=base.manifest.weights_sha256)
    assert Retraining(base, record, labels, (), False).plan.cleanup == {"LABEL 2": CleanUp(keep_largest=True)}
