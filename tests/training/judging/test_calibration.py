"""Calibration: known gaps are found, whatever the grid."""

import numpy as np
import pytest
import torch

from skipseg.models.inference.certainty import foreground
from skipseg.models.preprocess import Placement, prepare_labels
from skipseg.models.scans.geometry import Geometry, Turn
from skipseg.training.judging.calibration import MARGIN, on_networks_grid, reliability_of


def answers(confidence, right, shape=(30, 30, 30)):
    """Scores of two classes with one confidence everywhere, right in a share of the voxels, and the truth."""
    chance = np.random.default_rng(0)
    truth = chance.integers(0, 2, shape)
    said = np.where(chance.random(shape) < right, truth, 1 - truth)
    log_odds = np.log(confidence / (1 - confidence))
    scores = torch.zeros(2, *shape)
    scores[1] = torch.from_numpy(np.where(said == 1, log_odds, -log_odds))
    return scores, truth


def reliability(scores, truth):
    return reliability_of(scores, foreground(scores), truth)


@pytest.mark.parametrize(("confidence", "right"), [(0.9, 0.9), (0.95, 0.7), (0.7, 0.9)])
def test_the_error_is_the_gap_between_confidence_and_accuracy(confidence, right):
    found = reliability(*answers(confidence, right)).calibration()
    assert found.ece == pytest.approx(abs(confidence - right), abs=0.01)
    assert found.overconfidence == pytest.approx(confidence - right, abs=0.01)
    (one,) = found.bins
    assert (one.confidence, one.accuracy) == pytest.approx((confidence, right), abs=0.01)
    assert one.share == 1


def test_cases_are_pooled_by_their_voxels():
    one, other = reliability(*answers(0.9, 0.8)), reliability(*answers(0.6, 0.8, (30, 30, 10)))
    pooled = (one + other).calibration()
    assert pooled.ece == pytest.approx(0.75 * 0.1 + 0.25 * 0.2, abs=0.01)
    assert [bin.share for bin in pooled.bins] == pytest.approx([0.25, 0.75])


def test_background_far_from_truth_and_mask_does_not_count():
    scores, truth = torch.zeros(2, 40, 40, 40), np.zeros((40, 40, 40), int)
    scores[0] = 50.0
    truth[20, 20, 20] = 1
    counted = reliability(scores, truth)
    assert counted.voxels.sum() == (2 * MARGIN + 1) ** 3
    assert counted.right.sum() == counted.voxels.sum() - 1


def test_a_label_that_the_network_does_not_know_is_never_right():
    scores = torch.zeros(2, 4, 4, 1)
    scores[1] = 5.0
    counted = reliability(scores, np.full((4, 4, 1), 2))
    assert counted.right.sum() == 0


def test_probabilities_of_zero_are_fine():
    scores = torch.full((2, 3, 3, 1), -torch.inf)
    scores[1] = 0.0
    assert reliability(scores, np.ones((3, 3, 1), int)).calibration().ece == 0


def test_truth_on_the_networks_grid_lies_where_preprocessing_puts_it():
    chance = np.random.default_rng(0)
    blocks = np.kron(chance.integers(0, 3, (4, 5, 3)), np.ones((4, 4, 4), int))
    geometry = Geometry(blocks.shape, np.eye(4))
    turn = Turn((1, 0, 2), (True, False, False))
    box = tuple(slice(0, length) for length in turn.apply(blocks).shape)
    placement = Placement(geometry, turn, box, (40, 8, 12))
    found, linear = on_networks_grid(blocks, placement), prepare_labels(blocks, placement)
    assert found.shape == placement.grid
    assert (found == linear).mean() > 0.9  # equal but at borders, where one interpolates and the other does not
