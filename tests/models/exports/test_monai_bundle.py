"""MONAI bundles: MONAI itself verifies and loads them, and its network answers as the bundle's does."""

import json

import numpy as np
import pytest
import torch
from bundles import ensemble_of, small_bundle, small_plan, small_recipe
from monai.bundle import ConfigParser, load, verify_metadata, verify_net_in_out
from safetensors.torch import load_file
from scan_files import nifti

from skipseg.models.errors import UsageError
from skipseg.models.exports.export import export
from skipseg.models.inference.predictor import Predictor
from skipseg.models.networks.borrowed import AttentionUnetRecipe, DynUNetRecipe, SegResNetRecipe, UNETRRecipe
from skipseg.models.plan import Channel, CleanUp
from skipseg.models.scans.reader import read_scan

pytestmark = pytest.mark.filterwarnings("ignore:parsing config_file", "ignore:No hash value", "ignore:monai")

SOLID = {"dimensions": 3, "channels": 1, "classes": 3}
PYRAMID = {"widths": (4, 6, 8), "strides": ((1, 1, 1), (2, 2, 2), (2, 2, 1)), "kernels": ((3, 3, 3),) * 3}
NETWORKS = {
    "ours": (small_recipe(), "skipseg.models.networks.ensemble.network_of"),
    "segresnet": (SegResNetRecipe(**SOLID, features=8, down=(1, 1), up=(1,)), "SegResNet"),
    "dynunet": (DynUNetRecipe(**SOLID, **PYRAMID), "DynUNet"),
    "unetr": (UNETRRecipe(**SOLID, size=(32, 32, 32), features=4, hidden=24, heads=2), "UNETR"),
    "attentionunet": (AttentionUnetRecipe(**SOLID, widths=(4, 8)), "AttentionUnet"),
}
OBLIQUE = np.array([[1.1, 0.2, 0, -30.5], [-0.2, 1.2, 0.1, 12.25], [0, -0.1, 2.5, 7.125], [0, 0, 0, 1]])

# What the specification of MONAI bundles asks of metadata.json; the schema itself lies behind a URL.
TENSOR = {
    "type": "object",
    "required": ["type", "format", "num_channels", "spatial_shape", "dtype", "value_range", "is_patch_data"],
    "properties": {
        "type": {"enum": ["image", "tuples", "probabilities", "array"]},
        "format": {"enum": ["magnitude", "segmentation", "hounsfield", "kspace", "raw", "labels", "classes"]},
        "num_channels": {"type": "integer"},
        "spatial_shape": {"type": "array", "items": {"type": ["integer", "string"]}},
        "dtype": {"type": "string"},
        "value_range": {"type": "array", "items": {"type": "number"}},
        "is_patch_data": {"type": "boolean"},
        "channel_def": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
TENSORS = {"type": "object", "minProperties": 1, "additionalProperties": TENSOR}
VERSION = {"type": "string", "pattern": r"^[0-9]+\.[0-9]+\.[0-9]+"}
TEXT = {"type": "string", "minLength": 1}
TEXTS = ["task", "description", "authors", "copyright"]
VERSIONS = ["version", "monai_version", "pytorch_version", "numpy_version"]
SCHEMA = {
    "type": "object",
    "required": [*VERSIONS, *TEXTS, "changelog", "required_packages_version", "network_data_format"],
    "properties": {
        **dict.fromkeys(VERSIONS, VERSION),
        **dict.fromkeys(TEXTS, TEXT),
        "changelog": {"type": "object", "additionalProperties": {"type": "string"}},
        "required_packages_version": {"type": "object", "additionalProperties": {"type": "string"}},
        "network_data_format": {
            "type": "object",
            "required": ["inputs", "outputs"],
            "properties": {"inputs": TENSORS, "outputs": TENSORS},
        },
    },
}


def exported(tmp_path, bundle):
    export(bundle, "monai-bundle", tmp_path / "exported")
    return tmp_path / "exported"


def config(folder, name="inference"):
    return json.loads((folder / "configs" / f"{name}.json").read_text())


def logits(network, tile):
    with torch.inference_mode():
        return network.eval()(torch.randn(1, 1, *tile, generator=torch.Generator().manual_seed(0)))


def loaded_by_monai(folder):
    return load(folder.name, bundle_dir=folder.parent, workflow_type="inference", device="cpu")


@pytest.mark.parametrize("kind", NETWORKS)
def test_monai_verifies_and_loads_it_and_gets_the_same_answers(tmp_path, kind):
    recipe, target = NETWORKS[kind]
    tile = getattr(recipe, "size", (16, 16, 16))
    bundle = small_bundle(tmp_path / "bundle", small_plan(network=recipe, tile=tile))
    folder = exported(tmp_path, bundle)
    files = {
        "meta_file": str(folder / "configs" / "metadata.json"),
        "config_file": str(folder / "configs" / "inference.json"),
    }
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    verify_metadata(files["meta_file"], filepath=tmp_path / "schema.json")
    verify_net_in_out("network_def", **files, device="cpu")
    assert config(folder)["network_def"]["_target_"] == target
    assert torch.equal(logits(loaded_by_monai(folder), tile), logits(bundle.network(), tile))


def test_weights_are_there_as_safetensors_too(tmp_path):
    folder = exported(tmp_path, small_bundle(tmp_path / "bundle"))
    safe = load_file(folder / "models" / "model.safetensors")
    pickled = torch.load(folder / "models" / "model.pt", weights_only=True)
    assert safe.keys() == pickled.keys()
    assert all(torch.equal(safe[name], pickled[name]) for name in safe)


def test_an_ensemble_is_one_network_there_too(tmp_path):
    bundles = [small_bundle(tmp_path / f"bundle {seed}", seed=seed) for seed in (1, 2)]
    ensemble = ensemble_of(bundles, tmp_path / "ensemble")
    network = loaded_by_monai(exported(tmp_path, ensemble))
    assert torch.equal(logits(network, (16, 16, 16)), logits(ensemble.network(), (16, 16, 16)))


def test_a_tile_that_monais_network_cannot_take_stays_with_ours(tmp_path):
    recipe = SegResNetRecipe(**SOLID, features=8, down=(1, 1, 1), up=(1, 1))
    bundle = small_bundle(tmp_path / "bundle", small_plan(network=recipe, tile=(18, 16, 16)))
    folder = exported(tmp_path, bundle)
    assert config(folder)["network_def"]["_target_"].startswith("skipseg.")
    assert "skipseg" in config(folder, "metadata")["required_packages_version"]
    assert torch.equal(logits(loaded_by_monai(folder), (18, 16, 16)), logits(bundle.network(), (18, 16, 16)))


def test_the_metadata_name_channels_and_labels(tmp_path):
    plan = small_plan(channel_count=2)
    found = config(exported(tmp_path, small_bundle(tmp_path / "bundle", plan)), "metadata")["network_data_format"]
    assert found["inputs"]["image"]["channel_def"] == {"0": "channel 0", "1": "channel 1"}
    assert found["outputs"]["pred"]["channel_def"] == {"0": "background", "1": "label 1", "2": "label 2"}
    assert found["inputs"]["image"]["spatial_shape"] == [16, 16, 16]


CT = Channel(name="CT", normalisation="fixed", low=-50, high=250, mean=90, std=60)


@pytest.mark.parametrize("plan", [small_plan(), small_plan(channels=(CT,))], ids=["zscore", "fixed"])
def test_monais_transforms_go_the_whole_way_to_the_same_mask(tmp_path, plan):
    voxels = np.random.default_rng(0).normal(100, 60, (13, 12, 10)).astype(np.float32)
    scan = tmp_path / "scan.nii"
    scan.write_bytes(nifti(voxels, affine=OBLIQUE))
    bundle = small_bundle(tmp_path / "bundle", plan)
    parser = ConfigParser(config(folder := exported(tmp_path, bundle)))
    parser["bundle_root"], parser["device"] = str(folder), "cpu"
    parser.get_parsed_content("weights")
    before, network, inferer, after = (
        parser.get_parsed_content(name) for name in ("preprocessing", "network", "inferer", "postprocessing")
    )
    case = before({"image": scan})
    with torch.inference_mode():
        case["pred"] = inferer(case["image"][None], network)[0]
    found = after(case)["pred"][0].numpy()
    expected = Predictor(bundle, "cpu", "fp32").segment(read_scan(scan)).voxels
    assert len(np.unique(expected)) == 3
    assert np.mean(found == expected) > 0.999


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"crop_to_content": True}, "crop_to_content"),
        ({"cleanup": {"label 1": CleanUp(keep_largest=True)}}, "cleanup"),
        ({"channels": (Channel(name="MR", clip_percent=(1, 99)),)}, "clip_percent"),
    ],
)
def test_what_monais_transforms_would_do_otherwise_is_left_out_and_named(tmp_path, changes, words):
    folder = exported(tmp_path, small_bundle(tmp_path / "bundle", small_plan(**changes)))
    assert "preprocessing" not in config(folder)
    assert "postprocessing" not in config(folder)
    assert words in config(folder, "metadata")["skipseg"]["left_out"]


def test_nothing_is_overwritten(tmp_path):
    bundle = small_bundle(tmp_path / "bundle")
    folder = exported(tmp_path, bundle)
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="there already"):
        export(bundle, "monai-bundle", folder)
    assert (folder / "mine.txt").read_text() == "mine"
