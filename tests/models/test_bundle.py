"""Bundles: whole or refused."""

import json

import pytest
import torch
from bundles import small_bundle

from skipseg.models.bundle import load_bundle, replacing
from skipseg.models.errors import BundleError


def test_a_bundle_comes_back_with_the_network_that_was_saved(tmp_path):
    saved = small_bundle(tmp_path / "small")
    loaded = load_bundle(tmp_path / "small")
    assert loaded.manifest == saved.manifest
    image = torch.randn(1, 1, 16, 16, 16)
    with torch.inference_mode():
        assert torch.equal(saved.network()(image), loaded.network()(image))


def test_saving_again_replaces_the_bundle_and_leaves_nothing_beside_it(tmp_path):
    small_bundle(tmp_path / "small", seed=0)
    second = small_bundle(tmp_path / "small", seed=1)
    assert load_bundle(tmp_path / "small").manifest.weights_sha256 == second.manifest.weights_sha256
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def test_saving_again_spares_what_lies_beside_it(tmp_path):
    small_bundle(tmp_path / "small", seed=0)
    for name in ("small.old", "small.writing"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "backup").write_text("mine")
    small_bundle(tmp_path / "small", seed=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["small", "small.old", "small.writing"]
    assert (tmp_path / "small.old" / "backup").read_text() == "mine"
    assert (tmp_path / "small.writing" / "backup").read_text() == "mine"


def test_a_bundle_that_cannot_be_written_leaves_the_older_one(tmp_path):
    small_bundle(tmp_path / "small")
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "small") as draft:
        (draft / "nowhere" / "half").write_text("")
    load_bundle(tmp_path / "small")
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def test_a_bundle_that_cannot_be_moved_in_leaves_the_older_one(tmp_path):
    small_bundle(tmp_path / "small")
    with pytest.raises(OSError, match="new"), replacing(tmp_path / "small") as draft:
        draft.rmdir()
    load_bundle(tmp_path / "small")
    assert [path.name for path in tmp_path.iterdir()] == ["small"]


def edit(folder, **changes):
    path = folder / "bundle.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "weights.safetensors").unlink(), "missing"),
        (lambda folder: (folder / "bundle.json").unlink(), "missing"),
        (lambda folder: (folder / "weights.safetensors").write_bytes(b"x" * 1000), "checksum"),
        (lambda folder: (folder / "bundle.json").write_text("{"), "not JSON"),
        (lambda folder: (folder / "bundle.json").write_text("[1]"), "schema version"),
        (lambda folder: edit(folder, schema_version=2), "schema version 2"),
        (lambda folder: edit(folder, name="../../etc"), "name"),
        (lambda folder: edit(folder, extra=1), "extra"),
        (lambda folder: edit(folder, labels={"all": []}), "labels"),
    ],
)
def test_a_damaged_or_unknown_bundle_is_refused_with_the_reason(tmp_path, damage, words):
    small_bundle(tmp_path / "small")
    damage(tmp_path / "small")
    with pytest.raises(BundleError, match=words):
        load_bundle(tmp_path / "small")


@pytest.mark.parametrize(
    ("where", "changes", "words"),
    [
        ("plan", {"orientation": "RAA"}, r"at plan: .*orientation"),
        ("plan", {"orientation": "RA"}, r"at plan: .*orientation"),
        ("plan", {"tile": [512, 512, 513]}, r"at plan: .*tile"),
        ("plan", {"tile": [8193, 16, 16]}, r"at plan: .*tile"),
        ("plan", {"spacing": [1, 1, 1e-9]}, r"at plan: .*spacing"),
        ("network", {"kernels": [[3, 3, 3], [3, 2, 3], [3, 3, 3]]}, r"at plan.network: .*kernels"),
        ("network", {"widths": [1024, 2048, 2048], "blocks": [16, 16, 16]}, r"at plan.network: .*widths"),
        ("network", {"classes": 4}, r"at plan: .*4 classes, but there are 3 labels"),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused_by_its_field(tmp_path, where, changes, words):
    small_bundle(tmp_path / "small")
    plan = json.loads((tmp_path / "small" / "bundle.json").read_text())["plan"]
    (plan if where == "plan" else plan["network"]).update(changes)
    edit(tmp_path / "small", plan=plan)
    with pytest.raises(BundleError, match=words):
        load_bundle(tmp_path / "small")


def test_weights_of_another_network_are_refused(tmp_path):
    small_bundle(tmp_path / "small")
    manifest = json.loads((tmp_path / "small" / "bundle.json").read_text())
    manifest["plan"]["network"]["widths"] = [4, 6, 10]
    edit(tmp_path / "small", plan=manifest["plan"])
    with pytest.raises(BundleError, match="do not fit"):
        load_bundle(tmp_path / "small").network()
