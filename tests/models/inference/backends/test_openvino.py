"""OpenVINO: every network we have, converted, answers as torch does; and it keeps to itself."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from bundles import small_recipe

from skipseg.models.inference.backends.eager import Eager
from skipseg.models.inference.backends.openvino_cpu import OpenVINO
from skipseg.models.inference.backends.probe import TOLERANCE, difference, probe
from skipseg.models.networks.borrowed import (
    AttentionUnetRecipe,
    DynUNetRecipe,
    SegResNetRecipe,
    SwinUNETRRecipe,
    UNETRRecipe,
)
from skipseg.models.networks.ensemble import build_ensemble
from skipseg.models.networks.recipes import build

ROOT = Path(__file__).parents[4]
CPU = torch.device("cpu")
FLAT, SOLID = {"dimensions": 2, "channels": 2, "classes": 3}, {"dimensions": 3, "channels": 1, "classes": 2}
PYRAMID = {"widths": (4, 8, 8), "strides": ((1, 1, 1), (2, 2, 2), (2, 2, 1)), "kernels": ((3, 3, 3),) * 3}
RECIPES = {
    **{f"U-Net, {norm} norm": small_recipe(norm=norm) for norm in ("instance", "group", "batch", "none")},
    **{f"U-Net, skip {skip}": small_recipe(2, skip=skip) for skip in ("add", "attention", "none")},
    "U-Net, stem": small_recipe(strides=((2, 2, 2), (2, 2, 2), (2, 2, 1))),
    "U-Net, pre-activation, tanh": small_recipe(2, block="preactivation", activation="tanh"),
    "U-Net, bottlenecks, gelu": small_recipe(2, block="bottleneck", activation="gelu"),
    "SegResNet": SegResNetRecipe(**SOLID, features=8, down=(1, 1), up=(1,)),
    "SwinUNETR": SwinUNETRRecipe(**FLAT, features=12, depths=(2, 1, 1, 1)),
    "UNETR": UNETRRecipe(**FLAT, size=(32, 48), features=4, hidden=24, heads=2),
    "DynUNet": DynUNetRecipe(**SOLID, **PYRAMID, residual=True),
    "AttentionUnet": AttentionUnetRecipe(**SOLID, widths=(4, 8)),
}


def random_network(recipe, members=1):
    torch.manual_seed(0)
    return build_ensemble(recipe, members).eval()


def shape_of(recipe):
    return (recipe.channels, *(26, 37, 18)[: recipe.dimensions])


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES.keys())
def test_a_network_answers_as_in_torch(recipe):
    network, tile = random_network(recipe), probe(shape_of(recipe))
    expected = Eager(network, CPU, "fp32")(tile)
    found = OpenVINO(network, shape_of(recipe), "fp32")(tile)
    assert found.dtype == torch.float32
    assert found.shape == expected.shape
    assert difference(found, expected) < 1e-4


def test_an_ensemble_answers_as_in_torch_and_in_bf16_nearly_so():
    recipe = small_recipe()
    network, tile = random_network(recipe, members=3), probe(shape_of(recipe))
    expected = Eager(network, CPU, "fp32")(tile)
    assert difference(OpenVINO(network, shape_of(recipe), "fp32")(tile), expected) < 1e-4
    assert difference(OpenVINO(network, shape_of(recipe), "bf16")(tile), expected) < TOLERANCE["bf16"]


def test_tiles_may_lie_in_memory_as_they_like_and_stay_as_they_are():
    recipe = small_recipe(channels=2)
    backend = OpenVINO(random_network(recipe), shape_of(recipe), "fp32")
    tile = probe(shape_of(recipe))
    expected = backend(tile).clone()
    turned, before = tile.transpose(2, 4).contiguous().transpose(2, 4), tile.clone()
    with torch.inference_mode():
        torch.testing.assert_close(backend(turned), expected, rtol=0, atol=0)
        torch.testing.assert_close(backend(tile.double()), expected, rtol=0, atol=0)
    assert torch.equal(tile, before)


@pytest.mark.parametrize("norm", ["instance", "group", "batch", "none"])
def test_it_does_not_need_the_network_any_more(norm):
    recipe = small_recipe(norm=norm)
    network, tile = random_network(recipe), probe(shape_of(recipe))
    backend = OpenVINO(network, shape_of(recipe), "fp32")
    expected = backend(tile).clone()
    for values in network.parameters():
        values.data.fill_(torch.nan)
    torch.testing.assert_close(backend(tile), expected, rtol=0, atol=0)


def test_several_are_loaded_and_used_by_threads_at_once():
    recipes = [small_recipe(2, classes=classes) for classes in range(2, 6)]

    def apart(recipe):
        network, tile = build(recipe).eval(), probe(shape_of(recipe))
        found = OpenVINO(network, shape_of(recipe), "fp32")
        return max(difference(found(tile), Eager(network, CPU, "fp32")(tile)) for _ in range(5))

    with ThreadPoolExecutor(4) as threads:
        assert max(threads.map(apart, recipes)) < 1e-4


LOADING = """
import sys
told, outward = [], ("socket.", "subprocess.", "os.fork", "os.posix_spawn")
sys.addaudithook(lambda event, details: event.startswith(outward) and told.append(event))
import torch
from bundles import small_plan
from skipseg.models.inference.backends.choice import choose
from skipseg.models.networks.recipes import build
told.clear()
backend, choice = choose(build(small_plan().network).eval(), small_plan(), torch.device("cpu"), "exact")
backend(torch.zeros(1, 1, 16, 16, 16))
assert "openvino" in sys.modules and backend.name, choice
sys.exit(f"{told}" if told else 0)
"""


def test_loading_tells_nobody_writes_nothing_and_is_quiet(tmp_path):
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.mkdir()
    temporary.mkdir()
    outside_ci = {key: value for key, value in os.environ.items() if key not in ("CI", "TF_BUILD", "JENKINS_URL")}
    folders = {"HOME": str(home), "TMPDIR": str(temporary), "PYTHONPATH": str(ROOT / "tests")}
    ran = subprocess.run(
        [sys.executable, "-c", LOADING], env={**outside_ci, **folders}, cwd=tmp_path, capture_output=True, text=True
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert not any(home.iterdir())
    assert not any(temporary.iterdir())


INTERRUPTED = """
import signal, threading
from bundles import small_recipe
from skipseg.models.inference.backends.openvino_cpu import OpenVINO
from skipseg.models.networks.recipes import build
held = [OpenVINO(build(small_recipe(3)).eval(), (1, 16, 16, 16), "fp32")]
last_use = threading.Thread(target=held.clear)
last_use.start()
last_use.join()
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_is_only_that_after_a_backend_was_let_go_by_another_thread():
    ran = subprocess.run(
        [sys.executable, "-c", INTERRUPTED],
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stdout) == (0, "interrupted\n"), ran.stderr
