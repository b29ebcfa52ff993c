"""MONAI bundles come in when all of them is understood, and are refused by the part that is not."""

import json
import shutil

import numpy as np
import pytest
import torch
from bundles import small_bundle, small_plan
from safetensors.torch import load_file, save_file

from skipseg.models.bundle import load_bundle
from skipseg.models.errors import BundleError
from skipseg.models.exports.export import export
from skipseg.models.imports.monai_bundle import as_bundle, import_monai_bundle
from skipseg.models.networks.borrowed import (
    AttentionUnetRecipe,
    DynUNetRecipe,
    SegResNetRecipe,
    SwinUNETRRecipe,
    UNETRRecipe,
)
from skipseg.models.plan import Channel

SOLID = {"dimensions": 3, "channels": 1, "classes": 3}
PYRAMID = {"widths": (4, 6, 8), "strides": ((1, 1, 1), (2, 2, 2), (2, 2, 1)), "kernels": ((3, 3, 3),) * 3}
RECIPES = {
    "segresnet": SegResNetRecipe(**SOLID, features=8, down=(1, 1), up=(1,)),
    "dynunet": DynUNetRecipe(**SOLID, **PYRAMID),
    "unetr": UNETRRecipe(**SOLID, size=(32, 32, 32), features=4, hidden=24, heads=2),
    "swinunetr": SwinUNETRRecipe(**(SOLID | {"dimensions": 2}), features=12),
    "attentionunet": AttentionUnetRecipe(**SOLID, widths=(4, 8)),
}
CT = Channel(name="CT", normalisation="fixed", low=-50, high=250, mean=91.3, std=60.7)
PLANS = {
    "segresnet": {"channels": (CT,), "spacing": (1.0, 1.5, 2.0)},
    "swinunetr": {"orientation": None, "tile": (64, 64)},
    "unetr": {"tile": (32, 32, 32)},
}


def exported(folder, kind="segresnet"):
    """A bundle, and the folder of what was exported of it."""
    recipe = RECIPES[kind]
    plan = small_plan(recipe.dimensions, network=recipe, **PLANS.get(kind, {}))
    bundle = small_bundle(folder / "bundle", plan)
    export(bundle, "monai-bundle", folder / "monai")
    return bundle, folder / "monai"


@pytest.mark.parametrize("kind", RECIPES)
def test_what_was_exported_comes_back_as_it_was(tmp_path, kind):
    bundle, folder = exported(tmp_path, kind)
    back = load_bundle(as_bundle(folder, tmp_path / "back"))
    assert back.labels == bundle.labels
    given, found = (one.plan.model_dump(exclude={"channels"}) for one in (bundle, back))
    assert found == given
    for one, other in zip(back.plan.channels, bundle.plan.channels, strict=True):
        assert (one.name, one.normalisation) == (other.name, other.normalisation)
        numbers = [[channel.low, channel.high, channel.mean, channel.std] for channel in (one, other)]
        np.testing.assert_allclose(*numbers)
    image = torch.randn(1, 1, *bundle.plan.tile)
    with torch.inference_mode():
        assert torch.equal(back.network()(image), bundle.network()(image))


def test_it_says_that_its_training_is_unknown(tmp_path):
    back = import_monai_bundle(exported(tmp_path)[1], tmp_path / "back")
    assert back.manifest.training.dataset.startswith("unknown")
    assert "What it was trained on is not known" in (back.folder / "card.md").read_text()


def test_a_bundle_of_ours_is_left_as_it_is(tmp_path):
    folder = small_bundle(tmp_path / "bundle").folder
    assert as_bundle(folder, tmp_path / "aside") == folder
    assert not (tmp_path / "aside").exists()


def edit(change, name="inference"):
    def edited(folder):
        path = folder / "configs" / f"{name}.json"
        config = json.loads(path.read_text())
        change(config)
        path.write_text(json.dumps(config))

    return edited


def change_weights(change):
    def changed(folder):
        path = folder / "models" / "model.safetensors"
        state = load_file(path)
        change(state)
        save_file(state, path)

    return changed


def transforms(config, which="preprocessing"):
    return config[which]["transforms"]


STRANGE = {
    "another network": (edit(lambda c: c["network_def"].update(_target_="os.system")), "must name one of"),
    "an unknown argument": (edit(lambda c: c["network_def"].update(dropout_prob=0.1)), "dropout_prob"),
    "an expression": (edit(lambda c: c["network_def"].update(init_filters="$__import__('os')")), "features"),
    "another argument": (edit(lambda c: c["network_def"].update(blocks_up=[2, 2])), "up needs 1"),
    "another transform": (edit(lambda c: transforms(c).append({"_target_": "Rand3DElasticd"})), "preprocessing"),
    "a transform twice": (edit(lambda c: transforms(c).append(transforms(c)[3])), "preprocessing"),
    "a transform moved": (edit(lambda c: transforms(c).reverse()), "preprocessing"),
    "no normalisation": (edit(lambda c: transforms(c).pop(3)), "preprocessing"),
    "no clipping": (edit(lambda c: transforms(c)[3].update(clip=False)), "preprocessing"),
    "sigmoid": (
        edit(lambda c: transforms(c, "postprocessing")[0].update(softmax=False, sigmoid=True)),
        "postprocessing",
    ),
    "nearest": (edit(lambda c: transforms(c, "postprocessing")[1].update(nearest_interp=True)), "postprocessing"),
    "another inferer": (edit(lambda c: c["inferer"].update(mode="constant")), "inferer"),
    "an expression as tile": (edit(lambda c: c["inferer"].update(roi_size="$[1, 1, 1]")), "tile"),
    "no inferer": (edit(lambda c: c.pop("inferer")), "inferer"),
    "a label too few": (
        edit(lambda c: c["network_data_format"]["outputs"]["pred"]["channel_def"].pop("2"), "metadata"),
        "classes",
    ),
    "a channel too many": (
        edit(lambda c: c["network_data_format"]["inputs"]["image"]["channel_def"].update({"1": "T2"}), "metadata"),
        "channels",
    ),
    "a name that leads out": (edit(lambda c: c.update(name="../outside"), "metadata"), "name"),
    "no JSON": (lambda folder: (folder / "configs" / "inference.json").write_text("{"), "no JSON"),
    "no safetensors": (lambda folder: (folder / "models" / "model.safetensors").unlink(), "model.safetensors alone"),
    "a weight too few": (change_weights(lambda state: state.pop(min(state))), "do not fit"),
    "a weight too many": (change_weights(lambda state: state.update(more=torch.ones(1))), "do not fit"),
}


@pytest.fixture(scope="module")
def monai_folder(tmp_path_factory):
    return exported(tmp_path_factory.mktemp("monai"))[1]


@pytest.mark.parametrize("strange", STRANGE)
def test_what_is_not_understood_is_refused_by_name(tmp_path, monai_folder, strange):
    change, words = STRANGE[strange]
    shutil.copytree(monai_folder, tmp_path / "monai")
    change(tmp_path / "monai")
    with pytest.raises(BundleError, match=words):
        import_monai_bundle(tmp_path / "monai", tmp_path / "back")
    assert not (tmp_path / "back").exists()
