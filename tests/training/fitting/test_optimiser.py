"""The optimiser: orthogonal steps for convolutions, AdamW's own for the rest, and a state that comes back."""

import pytest
import torch
from torch import nn

from skipseg.training.fitting.optimiser import Muon, maps_features, orthogonalised


@pytest.mark.parametrize("shape", [(24, 200), (200, 24), (64, 64)])
def test_a_matrix_becomes_nearly_orthogonal_in_the_same_directions(shape):
    torch.manual_seed(0)
    matrix = torch.randn(shape) * torch.logspace(-1, 0, shape[1])
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    half = min(shape) // 2  # the weakest directions of a square matrix drown in rounding
    turned = (left.T @ orthogonalised(matrix) @ right.T)[:half, :half]
    assert turned.diagonal().sub(1).abs().max() < 0.35
    assert (turned - torch.diag(turned.diagonal())).abs().max() < 0.1


@pytest.mark.parametrize("strengths", [(0, -8), (0, -3), (0, 0)])
def test_no_direction_is_blown_up_however_weak_it_is(strengths):
    """As of real gradients: a few directions strong, the others far weaker. A Gram matrix in bf16 makes it hundreds."""
    torch.manual_seed(0)
    left, right = (torch.linalg.qr(torch.randn(side, 64))[0] for side in (64, 500))
    matrix = (left * torch.logspace(*strengths, 64)) @ right.T
    assert torch.linalg.matrix_norm(orthogonalised(matrix), 2) < 1.35


def test_only_maps_of_features_to_features_are_orthogonalised():
    assert maps_features(nn.Conv3d(16, 32, 3).weight)
    assert maps_features(nn.ConvTranspose2d(32, 16, 2).weight)
    for weights in (nn.Conv3d(1, 32, 3).weight, nn.Conv3d(32, 3, 1).weight, nn.InstanceNorm3d(32, affine=True).weight):
        assert not maps_features(weights)


def test_the_rest_moves_as_with_adamw():
    torch.manual_seed(0)
    ours, theirs = (nn.Parameter(torch.ones(5)) for _ in range(2))
    optimisers = [
        Muon([ours], lr=0.01, weight_decay=0.1),
        torch.optim.AdamW([theirs], lr=0.01, weight_decay=0.1),
    ]
    for _ in range(5):
        ours.grad = theirs.grad = torch.randn(5)
        for optimiser in optimisers:
            optimiser.step()
    torch.testing.assert_close(ours, theirs)


def test_what_is_frozen_stays_and_a_zero_gradient_is_harmless():
    frozen, still = nn.Parameter(torch.ones(16, 16, 3, 3)), nn.Parameter(torch.ones(16, 16, 3, 3))
    still.grad = torch.zeros_like(still)
    Muon([frozen, still], lr=0.1, weight_decay=0).step()
    assert torch.equal(frozen, torch.ones_like(frozen))
    assert torch.equal(still, torch.ones_like(still))


def test_a_restored_state_goes_on_as_if_nothing_had_been():
    def steps(weights, optimiser, numbers):
        for number in numbers:
            for parameter in weights:
                parameter.grad = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number))
            optimiser.step()

    def fresh():
        return [nn.Parameter(torch.ones(16, 16, 3, 3)), nn.Parameter(torch.ones(16))]

    whole, first = fresh(), fresh()
    steps(whole, Muon(whole, 0.01, 0.01), range(6))
    before = Muon(first, 0.01, 0.01)
    steps(first, before, range(3))
    second = [nn.Parameter(parameter.detach().clone()) for parameter in first]
    after = Muon(second, 0.01, 0.01)
    after.load_state_dict(before.state_dict())
    steps(second, after, range(3, 6))
    for expected, found in zip(whole, second, strict=True):
        assert torch.equal(expected, found)
