"""What every network must do, as one class of tests; a family adds its recipes."""

from typing import ClassVar

import pytest
import torch

from skipseg.models.networks.cost import cost
from skipseg.models.networks.recipes import build
from skipseg.models.networks.weightless import weightless


def outputs_of(network, image):
    answers = network(image)
    return answers if isinstance(answers, list) else [answers]


def size_for(recipe):
    """An image that none of them shrinks to a single voxel."""
    return getattr(recipe, "size", (40,) * recipe.dimensions)


class NetworkTests:
    """Subclass it with ``RECIPES``, a dictionary of names and recipes."""

    RECIPES: ClassVar = {}

    def pytest_generate_tests(self, metafunc):
        if "recipe" in metafunc.fixturenames:
            metafunc.parametrize("recipe", self.RECIPES.values(), ids=self.RECIPES.keys())

    @pytest.mark.parametrize("sides", [(40, 40, 40), (35, 41, 37), (64, 33, 18)], ids=str)
    def test_logits_have_the_image_size_whatever_that_is(self, recipe, sides):
        image = torch.randn(2, recipe.channels, *[min(pair) for pair in zip(sides, size_for(recipe), strict=False)])
        with torch.inference_mode():
            assert build(recipe).eval()(image).shape == (2, recipe.classes, *image.shape[2:])

    def test_gradients_reach_every_parameter(self, recipe):
        torch.manual_seed(0)
        network = build(recipe).train()
        outputs = outputs_of(network, torch.randn(2, recipe.channels, *size_for(recipe)))
        sum((output * torch.randn(output.shape)).sum() for output in outputs).backward()
        without = [name for name, values in network.named_parameters() if values.grad is None or not values.grad.any()]
        assert without == []

    def test_weights_survive_a_state_dict(self, recipe):
        first, second = build(recipe).eval(), build(recipe).eval()
        second.load_state_dict(first.state_dict())
        image = torch.randn(1, recipe.channels, *size_for(recipe))
        with torch.inference_mode():
            torch.testing.assert_close(first(image), second(image), rtol=0, atol=0)

    def test_a_recipe_survives_json(self, recipe):
        assert type(recipe).model_validate_json(recipe.model_dump_json()) == recipe

    def test_it_is_counted_without_memory(self, recipe):
        with weightless():
            shapes = {name: values.shape for name, values in build(recipe).state_dict().items()}
        network = build(recipe)
        assert shapes == {name: values.shape for name, values in network.state_dict().items()}
        counted = cost(recipe, size_for(recipe))
        assert counted.weights == sum(values.numel() for values in network.parameters())
        assert min(counted.multiplications, counted.features) > 0

    def test_its_eval_answer_is_exported_as_it_is(self, recipe):
        network, image = build(recipe).eval(), torch.randn(1, recipe.channels, *size_for(recipe))
        with torch.inference_mode():
            expected = network(image)
        exported = torch.export.export(network, (image,)).module()
        torch.testing.assert_close(exported(image), expected, rtol=1e-4, atol=1e-4)
