"""MONAI's networks by their recipes."""

from typing import ClassVar

import pytest
import torch
from bundles import small_plan
from family import NetworkTests
from pydantic import ValidationError

from skipseg.models.networks.borrowed import (
    AttentionUnetRecipe,
    DynUNetRecipe,
    SegResNetRecipe,
    SwinUNETRRecipe,
    UNETRRecipe,
)
from skipseg.models.networks.recipes import build
from skipseg.models.plan import Plan

FLAT, SOLID = {"dimensions": 2, "channels": 2, "classes": 3}, {"dimensions": 3, "channels": 1, "classes": 2}
PYRAMID = {"widths": (4, 8, 8), "strides": ((1, 1, 1), (2, 2, 2), (2, 2, 1)), "kernels": ((3, 3, 3),) * 3}


class TestBorrowed(NetworkTests):
    RECIPES: ClassVar = {
        "SegResNet": SegResNetRecipe(**SOLID, features=8, down=(1, 1), up=(1,)),
        "SegResNet 2D": SegResNetRecipe(**FLAT, features=8),
        "SwinUNETR": SwinUNETRRecipe(**SOLID, features=12),
        "SwinUNETR 2D": SwinUNETRRecipe(**FLAT, features=12),
        "UNETR": UNETRRecipe(**SOLID, size=(48, 32, 32), features=4, hidden=24, heads=2),
        "UNETR 2D": UNETRRecipe(**FLAT, size=(48, 64), features=4, hidden=24, heads=2),
        "DynUNet": DynUNetRecipe(**SOLID, **PYRAMID),
        "DynUNet, residual": DynUNetRecipe(**SOLID, **PYRAMID, residual=True),
        "AttentionUnet": AttentionUnetRecipe(**SOLID, widths=(4, 8)),
        "AttentionUnet 2D": AttentionUnetRecipe(**FLAT, widths=(4, 8, 16)),
    }


@pytest.mark.parametrize(
    ("recipe", "wrong"),
    [
        (SegResNetRecipe, {"features": 7}),
        (SegResNetRecipe, {"down": (1, 2), "up": (1, 1)}),
        (SegResNetRecipe, {"init_filters": 8}),
        (SwinUNETRRecipe, {"features": 10}),
        (SwinUNETRRecipe, {"heads": (5, 5, 5, 5)}),
        (UNETRRecipe, {"size": (32, 32)}),
        (UNETRRecipe, {"size": (40, 32, 32)}),
        (UNETRRecipe, {"size": (32, 32, 32), "hidden": 25, "heads": 2}),
        (AttentionUnetRecipe, {"widths": (4, 10**6)}),
        (AttentionUnetRecipe, {"norm": "os.system"}),
    ],
    ids=str,
)
def test_a_recipe_that_cannot_be_built_is_refused(recipe, wrong):
    with pytest.raises(ValidationError):
        recipe(**{**SOLID, **wrong})


def test_a_plan_names_them_by_their_kind():
    plan = small_plan(3, network=SegResNetRecipe(dimensions=3, channels=1, classes=3, features=8))
    assert Plan.model_validate_json(plan.model_dump_json()) == plan


def test_what_is_missing_to_a_size_is_filled_up_and_cut_off_again():
    network = build(SegResNetRecipe(**SOLID, features=8, down=(1, 1, 1), up=(1, 1))).eval()
    image = torch.randn(1, 1, 12, 16, 9)
    whole = torch.cat([image, image[..., -1:].expand(-1, -1, -1, -1, 3)], dim=-1)
    with torch.inference_mode():
        torch.testing.assert_close(network(image), network(whole)[..., :9])
