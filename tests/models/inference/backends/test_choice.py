"""The choice: the fastest that can be trusted, and words that say why."""

import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from bundles import small_plan
from torch import nn

from skipseg.models.bundle import load_bundle
from skipseg.models.inference.backends.backend import Unusable
from skipseg.models.inference.backends.choice import Yardstick, choose, judge
from skipseg.models.inference.backends.cuda_graph import CudaGraph
from skipseg.models.inference.backends.eager import Eager
from skipseg.models.inference.backends.probe import difference, probe
from skipseg.models.inference.predictor import load_predictor
from skipseg.models.networks.recipes import build
from skipseg.models.precision import fastest_precision
from skipseg.models.scans.reader import read_scan

ROOT = Path(__file__).parents[4]
CPU = torch.device("cpu")
PLAN = small_plan()
TILE = probe((1, 16, 16, 16))


def untrained():
    torch.manual_seed(0)
    return build(PLAN.network).eval()


@pytest.mark.parametrize("mode", ["exact", "fast"])
def test_what_is_chosen_answers_nearly_as_torch_in_fp32(mode):
    expected = Eager(untrained(), CPU, "fp32")(TILE)
    backend, choice = choose(untrained(), PLAN, CPU, mode)
    assert (choice.backend, choice.precision, choice.batch) == (backend.name, backend.precision, backend.batch)
    assert choice.reason
    assert backend.device == CPU
    assert difference(backend(TILE), expected) < (1e-4 if mode == "exact" else 0.05)
    assert mode == "fast" or choice.precision == "fp32"


def test_without_openvino_torch_answers_and_the_reason_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    backend, choice = choose(untrained(), PLAN, CPU, "exact")
    assert (backend.name, choice.precision, choice.difference) == ("torch", "fp32", None)
    assert "openvino is not installed" in choice.reason
    torch.testing.assert_close(backend(TILE), Eager(untrained(), CPU, "fp32")(TILE))


class Unheard(nn.Module):
    """What no converter knows."""

    def forward(self, image):
        return torch.cat([image, torch.special.scaled_modified_bessel_k1(image.abs() + 1), image.neg()], 1)


def test_a_network_that_cannot_be_converted_is_left_to_torch():
    backend, choice = choose(Unheard().eval(), PLAN, CPU, "exact")
    assert backend.name == "torch"
    assert "openvino cannot" in choice.reason
    torch.testing.assert_close(backend(TILE), Unheard()(TILE))


class Delicate(nn.Module):
    """Adds a thousand and takes it away again, which leaves little in a number format of three digits."""

    def __init__(self):
        super().__init__()
        self.far, self.back = nn.Conv3d(1, 3, 3, padding=1), nn.Conv3d(3, 3, 1)
        with torch.no_grad():
            self.far.bias.fill_(1000.0)
            self.back.weight.copy_(torch.eye(3)[..., None, None, None])
            self.back.bias.fill_(-1000.0)

    def forward(self, image):
        return self.back(self.far(image))


@pytest.mark.skipif(fastest_precision(CPU) == "fp32", reason="this processor does not multiply bf16")
def test_where_bf16_would_lose_what_the_network_tells_it_is_refused_and_fp32_answers():
    network = Delicate().eval()
    expected = network(TILE).detach().clone()
    backend, choice = choose(network, PLAN, CPU, "fast")
    assert choice.precision == "fp32"
    assert "not taken: openvino in bf16" in choice.reason
    assert "not taken: torch in bf16" in choice.reason
    assert difference(backend(TILE), expected) < 1e-3


def test_weights_that_are_no_numbers_leave_the_reference():
    network = untrained()
    network.head.weight.data.fill_(torch.nan)
    backend, choice = choose(network, PLAN, CPU, "exact")
    assert (backend.name, choice.difference) == ("torch", None)


def endless(network):
    """A yardstick of two tiles that any backend is faster than."""
    return replace(Yardstick.of(Eager(network, CPU, "fp32"), probe((1, 16, 16, 16), count=2)), seconds=torch.inf)


def test_whole_batches_are_judged_tile_by_tile():
    apart, merits = judge(Eager(untrained(), CPU, "fp32", batch=5), endless(untrained()))
    assert apart < 1e-5
    assert "torch in fp32" in merits


class Leaking(nn.Module):
    """Right for one tile, wrong for several."""

    def forward(self, tiles):
        return torch.cat([tiles, tiles.mean(0, keepdim=True).expand_as(tiles).square()], 1)


def test_tiles_that_change_each_others_answers_are_noticed():
    yardstick = endless(Leaking())
    judge(Eager(Leaking(), CPU, "fp32"), yardstick)
    with pytest.raises(Unusable, match=r"lies .* off"):
        judge(Eager(Leaking(), CPU, "fp32", batch=2), yardstick)


class Sluggish(nn.Module):
    """Answers after so many seconds, the last of them again and again."""

    def __init__(self, *seconds):
        super().__init__()
        self.seconds = list(seconds)

    def forward(self, tiles):
        time.sleep(self.seconds.pop(0) if len(self.seconds) > 1 else self.seconds[0])
        return torch.cat([tiles, -tiles], 1)


def test_what_is_slower_is_not_taken():
    yardstick = Yardstick.of(Eager(Sluggish(0.05), CPU, "fp32"), TILE)
    with pytest.raises(Unusable, match="is slower"):
        judge(Eager(Sluggish(0.4), CPU, "fp32"), yardstick)


class Unsteady(Sluggish):
    """Slow and wrong at first."""

    def forward(self, tiles):
        factor = 2.0 if len(self.seconds) > 1 else 1.0
        return factor * super().forward(tiles)


def test_what_was_wrong_once_is_not_heard_again():
    yardstick = Yardstick.of(Eager(Sluggish(0.1), CPU, "fp32"), TILE)
    with pytest.raises(Unusable, match=r"lies .* off"):
        judge(Eager(Unsteady(0.4, 0.4, 0.01), CPU, "fp32"), yardstick)


def test_what_was_slow_for_a_moment_is_taken():
    yardstick = Yardstick.of(Eager(Sluggish(0.1), CPU, "fp32"), TILE)
    _, merits = judge(Eager(Sluggish(0.4, 0.4, 0.01), CPU, "fp32"), yardstick)
    assert "its logits lie 0.00% off" in merits


def test_a_graph_without_a_gpu_is_refused():
    with pytest.raises(Unusable, match="CUDA"):
        CudaGraph(Eager(untrained(), CPU, "fp32"), (1, 16, 16, 16))


def test_fast_and_exact_masks_of_real_scans_agree(real_data):
    bundle = load_bundle(ROOT / "models/shipped/hippocampus")
    folder = real_data("hippocampus")
    exact, fast = (load_predictor(bundle, CPU, mode) for mode in ("exact", "fast"))
    for case in (folder / "validation.txt").read_text().split()[:2]:
        scan = read_scan(folder / "imagesTr" / f"{case}.nii.gz")
        one, other = exact.segment(scan).voxels, fast.segment(scan).voxels
        for label in (1, 2):
            both = np.count_nonzero((one == label) & (other == label))
            assert 2 * both / (np.count_nonzero(one == label) + np.count_nonzero(other == label)) > 0.99
