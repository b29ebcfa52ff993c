"""How features meet that skipped across the U and those that came up."""

import pytest
import torch

from skipseg.models.networks.kit import Kit
from skipseg.models.networks.skips import SKIPS
from skipseg.models.networks.skips.add import Add
from skipseg.models.networks.skips.attention import AttentionGate
from skipseg.models.networks.unet import fit

UP, ACROSS = torch.randn(2, 3, 6, 5, 4), torch.randn(2, 5, 6, 5, 4)


@pytest.mark.parametrize("kind", SKIPS)
def test_a_join_answers_with_the_width_it_names(kind):
    join = SKIPS[kind](Kit(3), up=3, across=5)
    assert join(UP, ACROSS).shape == (2, join.width, 6, 5, 4)


def test_concatenation_keeps_both_sides():
    assert torch.equal(SKIPS["concat"](Kit(3), 3, 5)(UP, ACROSS), torch.cat([UP, ACROSS], 1))


def test_addition_projects_only_where_widths_differ():
    same = torch.randn(2, 3, 6, 5, 4)
    assert torch.equal(Add(Kit(3), 3, 3)(UP, same), UP + same)
    assert not list(Add(Kit(3), 3, 3).parameters())
    projected = Add(Kit(3), 3, 5)
    assert sum(weights.numel() for weights in projected.parameters()) == 3 * 5
    torch.testing.assert_close(projected(UP, ACROSS) - UP, projected.project(ACROSS))


def test_an_attention_gate_lets_a_share_of_each_voxel_through():
    gate = AttentionGate(Kit(3), 3, 5)
    found = gate(UP, ACROSS)
    assert torch.equal(found[:, :3], UP)
    shares = found[:, 3:] / ACROSS
    assert shares.min() > 0
    assert shares.max() < 1
    torch.testing.assert_close(shares, shares[:, :1].expand_as(shares))  # one share a voxel, for all features
    torch.nn.init.constant_(gate.share[1].bias, 50.0)
    torch.testing.assert_close(gate(UP, ACROSS)[:, 3:], ACROSS)


def test_without_a_skip_nothing_comes_across():
    assert torch.equal(SKIPS["none"](Kit(3), 3, 5)(UP, ACROSS), UP)


def test_what_upsampling_added_is_cut():
    assert torch.equal(fit(UP, torch.empty(1, 9, 5, 5, 3)), UP[:, :, :5, :, :3])
