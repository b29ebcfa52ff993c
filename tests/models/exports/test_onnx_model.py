"""ONNX: another runtime answers as torch does, or nothing is written."""

import json
import shutil

import onnxruntime
import pytest
import torch
from bundles import ensemble_of, small_bundle, small_plan, small_recipe

from skipseg.models.errors import BundleError
from skipseg.models.exports.export import export
from skipseg.models.exports.onnx_model import hold_to_torch
from skipseg.models.plan import Plan


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return small_bundle(tmp_path_factory.mktemp("onnx") / "bundle")


@pytest.fixture(scope="module")
def folder(bundle):
    export(bundle, "onnx", bundle.folder.parent / "exported")
    return bundle.folder.parent / "exported"


def answer(folder, tile):
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(["logits"], {"image": tile.numpy()})[0])


def test_onnx_runtime_answers_as_torch_does(bundle, folder):
    tile = torch.randn(1, 1, 16, 16, 16)
    with torch.inference_mode():
        torch.testing.assert_close(answer(folder, tile), bundle.network()(tile), rtol=1e-3, atol=1e-3)


def test_the_file_says_what_it_is_by_itself_and_beside(bundle, folder):
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    inside = session.get_modelmeta().custom_metadata_map
    beside = json.loads((folder / "plan.json").read_text())
    assert inside["skipseg.weights_sha256"] == beside["weights_sha256"] == bundle.manifest.weights_sha256
    assert Plan.model_validate_json(inside["skipseg.plan"]) == bundle.plan
    assert json.loads(inside["skipseg.labels"]) == beside["labels"]
    assert [(one.name, one.shape) for one in session.get_inputs()] == [("image", [1, 1, 16, 16, 16])]
    assert sorted(path.name for path in folder.iterdir()) == ["card.md", "model.onnx", "plan.json"]


def test_an_ensemble_of_slices_survives_too(tmp_path):
    plan = small_plan(2, network=small_recipe(2, skip="attention"))
    members = [small_bundle(tmp_path / f"bundle {seed}", plan, seed=seed) for seed in (1, 2)]
    ensemble = ensemble_of(members, tmp_path / "ensemble")
    export(ensemble, "onnx", tmp_path / "exported")
    tile = torch.randn(1, 1, 16, 16)
    with torch.inference_mode():
        expected = ensemble.network()(tile)
    torch.testing.assert_close(answer(tmp_path / "exported", tile), expected, rtol=1e-3, atol=1e-3)


def test_a_file_that_answers_otherwise_is_not_believed(tmp_path, folder):
    other = small_bundle(tmp_path / "other", seed=1).network()
    with pytest.raises(BundleError, match="off torch's"):
        hold_to_torch(folder / "model.onnx", other, torch.randn(1, 1, 16, 16, 16))


def test_what_fails_leaves_nothing_behind(tmp_path):
    bundle = small_bundle(tmp_path / "bundle")
    shutil.rmtree(bundle.folder)
    with pytest.raises(BundleError):
        export(bundle, "onnx", tmp_path / "exported")
    assert list(tmp_path.iterdir()) == []
