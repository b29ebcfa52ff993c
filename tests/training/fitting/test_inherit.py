"""What a network takes over from one that was trained with other labels."""

import pytest
import torch
from bundles import small_recipe

from skipseg.models.labels import Code, Label, Labels
from skipseg.models.networks.recipes import build
from skipseg.training.fitting.inherit import class_axes, classes_in, freeze_encoder, inherit, united

KIDNEY = Code(value="64033007", meaning="Kidney")


def labels(*names, **codes):
    made = [Label(value=i, name=name, code=codes.get(name)) for i, name in enumerate(names, start=1)]
    return Labels(all=(Label(value=0, name="background"), *made))


def test_labels_are_known_by_name_in_any_case_of_letters_and_any_order():
    assert classes_in(labels("LIVER ", "cyst", "Spleen"), labels("spleen", "liver")) == (0, 2, None, 1)


def test_codes_go_before_names():
    ours = labels("Niere", "kidney", Niere=KIDNEY)
    theirs = labels("kidney", "Niere", kidney=KIDNEY, Niere=Code(value="1", meaning="something else"))
    assert classes_in(ours, theirs) == (0, 1, 1)


def test_added_labels_keep_their_value_where_it_is_free():
    both = united(labels("liver"), labels("Liver", "spleen", "kidney"), labels("cyst"))
    assert [(label.value, label.name) for label in both.foreground] == [
        (1, "liver"),
        (2, "spleen"),
        (3, "kidney"),
        (4, "cyst"),
    ]


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("stem", [1, 2])
def test_known_labels_are_answered_as_before_at_every_resolution(dimensions, stem):
    strides = ((stem,) * dimensions, (2,) * dimensions, (2,) * dimensions)
    before = labels("liver", "spleen", "kidney")
    now = labels("kidney", "cyst", "liver")
    old_recipe = small_recipe(dimensions, 1, len(before), strides=strides)
    recipe = small_recipe(dimensions, 1, len(now), strides=strides)
    torch.manual_seed(0)
    old, new = build(old_recipe), build(recipe)
    inherit(new, recipe, old.state_dict(), classes_in(now, before))
    image = torch.randn(1, 1, *(16,) * dimensions)
    for theirs, ours in zip(old(image), new(image), strict=True):
        torch.testing.assert_close(ours[:, [0, 1, 3]], theirs[:, [0, 3, 1]])
        assert not torch.allclose(ours[:, 2], theirs[:, 2])


def test_only_heads_depend_on_the_number_of_classes():
    assert {name.split(".")[0] for name in class_axes(small_recipe(3, 1, 3))} == {"head", "coarse_heads"}


def test_a_frozen_encoder_leaves_the_way_up_and_the_heads_to_learn():
    network = build(small_recipe(3, 1, 3))
    learning, total = freeze_encoder(network)
    assert 0 < learning < total
    assert {name.split(".")[0] for name, weights in network.named_parameters() if not weights.requires_grad} == {
        "contracting",
        "bottom",
    }
