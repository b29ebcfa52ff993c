"""Ensembles: several networks in one bundle that answer as one."""

import json

import pytest
import torch
from bundles import ensemble_of, small_bundle, small_plan

from skipseg.models.bundle import load_bundle
from skipseg.models.errors import BundleError
from skipseg.models.networks.ensemble import Ensemble


@pytest.fixture
def singles(tmp_path):
    return [small_bundle(tmp_path / f"{seed}", seed=seed) for seed in range(3)]


def test_the_answer_is_the_logarithm_of_the_mean_of_the_members_probabilities(singles, tmp_path):
    ensemble_of(singles, tmp_path / "all")
    image = torch.randn(2, 1, 16, 16, 16)
    with torch.inference_mode():
        answer = load_bundle(tmp_path / "all").network()(image)
        mean = torch.stack([single.network()(image).softmax(1) for single in singles]).mean(0)
    assert torch.allclose(answer, mean.log(), atol=1e-5)
    assert torch.allclose(answer.softmax(1), mean, atol=1e-6)


def test_certain_members_do_not_make_an_answer_infinite():
    logits = torch.tensor([[[300.0]], [[-300.0]]]).reshape(1, 2, 1, 1)
    far = Ensemble([torch.nn.Identity(), torch.nn.Identity()])(logits)
    assert torch.isfinite(far).all()


@pytest.mark.parametrize(("members", "words"), [(0, "members"), (2, "do not fit"), (51, "members")])
def test_a_wrong_number_of_members_is_refused(singles, tmp_path, members, words):
    ensemble_of(singles, tmp_path / "all")
    _edit(tmp_path / "all", members=members)
    with pytest.raises(BundleError, match=words):
        load_bundle(tmp_path / "all").network()


def test_members_that_take_too_much_memory_together_are_refused(tmp_path):
    big = small_plan().model_dump(mode="json")
    big["network"] |= {"widths": [512, 1024, 1024], "blocks": [1, 1, 1]}
    small_bundle(tmp_path / "big")
    _edit(tmp_path / "big", plan=big)
    load_bundle(tmp_path / "big")
    _edit(tmp_path / "big", members=20)
    with pytest.raises(BundleError, match="weights that may be"):
        load_bundle(tmp_path / "big")


def _edit(folder, **changes):
    path = folder / "bundle.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
