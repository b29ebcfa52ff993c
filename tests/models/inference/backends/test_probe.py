"""The self-test's measure: what changes a mask counts, what does not does not."""

import pytest
import torch

from skipseg.models.inference.backends.probe import TOLERANCE, difference, probe

LOGITS = 5 * torch.randn(1, 3, 20, 20, 20, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [(1, 16, 24, 12), (3, 40, 32)])
def test_a_probe_is_like_a_normalised_scan_and_always_the_same(shape):
    tiles = probe(shape, count=2)
    assert tiles.shape == (2, *shape)
    assert torch.equal(tiles, probe(shape, count=2))
    assert torch.equal(tiles[:1], probe(shape, count=2)[:1])
    assert not torch.equal(tiles[0], tiles[1])
    for channel in tiles.flatten(2).flatten(0, 1):
        assert (float(channel.mean()), float(channel.std())) == pytest.approx((0, 1), abs=1e-4)


def test_what_all_classes_of_a_voxel_share_is_no_difference():
    assert difference(LOGITS + 7 * torch.randn(1, 1, 20, 20, 20), LOGITS) < 1e-6


def test_it_is_a_share_of_what_the_network_tells_apart():
    noise = torch.randn(LOGITS.shape)
    expected = difference(LOGITS + 0.1 * noise, LOGITS)
    assert expected == pytest.approx(0.02, rel=0.1)
    background = torch.tensor([100.0, 0.0, 0.0])[:, None, None, None]  # the same everywhere: it tells nothing apart
    assert difference(LOGITS + background + 0.1 * noise, LOGITS + background) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("wrong", [torch.nan, torch.inf, -torch.inf])
def test_a_value_that_is_no_number_is_infinitely_far(wrong):
    broken = LOGITS.clone()
    broken[0, 1, 2, 3, 4] = wrong
    assert difference(broken, LOGITS) == torch.inf
    assert difference(LOGITS, broken) == torch.inf


def test_faults_that_kernels_have_had_are_not_tolerated():
    edge, swapped = LOGITS.clone(), LOGITS[:, [1, 0, 2]]
    edge[..., -1] = 0
    for broken in (edge, swapped, LOGITS.roll(1, 3), LOGITS.roll(1, 1), torch.zeros_like(LOGITS)):
        assert difference(broken, LOGITS) > TOLERANCE["bf16"]


def test_rounding_to_bf16_is_tolerated_and_not_taken_for_fp32():
    assert TOLERANCE["fp32"] < difference(LOGITS.bfloat16().float(), LOGITS) < TOLERANCE["bf16"]
