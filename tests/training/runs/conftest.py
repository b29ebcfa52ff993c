"""A dataset of pictures and a tiny network for it, for runs with folds."""

import json

import pytest

from skipseg.training.phantoms import write_picture_dataset
from skipseg.training.planning.overrides import Overrides

TINY = {"patch": [48, 48], "widths": [6, 8, 12], "blocks": [0, 1, 1], "batch": 2}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    write_picture_dataset(folder, cases=9, seed=0)
    return folder


@pytest.fixture(scope="module")
def quick():
    return {"epochs": 8, "device": "cpu", "quiet": True, "folds": 3, "overrides": Overrides.model_validate(TINY)}


@pytest.fixture(scope="module")
def tiny_plan(tmp_path_factory):
    """The same choices, as a file for ``--plan``."""
    plan = tmp_path_factory.mktemp("plan") / "tiny.json"
    plan.write_text(json.dumps(TINY))
    return plan
