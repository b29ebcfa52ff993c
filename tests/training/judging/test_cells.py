"""Cells of a picture: the Rand score by hand, and lines one pixel wide."""

import numpy as np
import pytest
from scipy.ndimage import binary_dilation
from scipy.ndimage import label as components

from skipseg.models.labels import Labels
from skipseg.training.judging.cells import cell_score, v_rand
from skipseg.training.judging.thinning import thinned

TWO_CELLS = np.array([[1, 1, 0, 1, 1], [1, 1, 0, 1, 1]], bool)  # 4 pixels each, a membrane between


def test_the_truth_itself_scores_one():
    assert v_rand(TWO_CELLS, TWO_CELLS) == 1


def test_a_merge_by_hand():
    gap = TWO_CELLS.copy()
    gap[0, 2] = True  # one pixel joins both cells: over true cells one of 8, squares 16 + 16, 64 and 16 + 16
    assert v_rand(gap, TWO_CELLS) == pytest.approx(32 / ((64 + 32) / 2))


def test_a_split_by_hand():
    wall = TWO_CELLS.copy()
    wall[:, 0] = False  # two pixels of the left cell are in none: each is a cell of its own
    in_both, found, known = 4 + 16 + 2, 4 + 16 + 2, 16 + 16
    assert v_rand(wall, TWO_CELLS) == pytest.approx(in_both / ((found + known) / 2))


def test_what_is_said_of_true_membranes_does_not_count():
    known = np.ones((5, 9), bool)
    known[:, 3:6] = False
    thin = np.ones((5, 9), bool)
    thin[:, 4] = False
    assert v_rand(thin, known) == 1


def test_a_diagonal_membrane_parts_cells():
    found = ~np.eye(6, dtype=bool)
    assert v_rand(found, found) == 1
    assert components(found)[1] == 2


def test_no_cell_in_the_truth_is_no_score():
    assert v_rand(TWO_CELLS, np.zeros_like(TWO_CELLS)) is None


def test_only_pictures_of_one_label_have_cells_and_membranes_lie_between():
    picture = TWO_CELLS[..., None].astype(np.uint8)
    cells = cell_score(picture, picture, Labels.from_names({1: "cell"}))
    assert (cells.pixel_error, cells.v_rand, cells.v_rand_thinned) == (0, 1, 1)
    assert cell_score(1 - picture, 1 - picture, Labels.from_names({1: "Membranes"})) == cells
    assert cell_score(picture, picture, Labels.from_names({1: "cell", 2: "other"})) is None
    volume = np.repeat(picture, 3, axis=2)
    assert cell_score(volume, volume, Labels.from_names({1: "cell"})) is None


def test_thick_membranes_are_forgiven_after_thinning():
    known = np.ones((40, 60), np.uint8)
    known[:, 29:31] = 0
    found = known.copy()
    found[:, 24:36] = 0
    one = cell_score(found[..., None], known[..., None], Labels.from_names({1: "cell"}))
    assert one.v_rand < 0.9
    assert one.v_rand_thinned > 0.98


@pytest.mark.parametrize("width", [1, 2, 3, 6])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_line_that_leaves_the_picture_still_does(width, axis):
    wall = np.zeros((30, 30), bool)
    wall[12 : 12 + width] = True
    wall = wall if axis == 0 else wall.T
    line = thinned(wall)
    assert components(~line)[1] == 2
    assert line.sum() <= 30 + 2 * width


def test_thinning_parts_what_was_parted_and_nothing_else():
    chance = np.random.default_rng(0)
    walls = binary_dilation(chance.random((80, 80)) < 0.02, np.ones((3, 3)), iterations=3)
    lines = thinned(walls)
    assert not (lines & ~walls).any()
    assert lines.sum() < walls.sum() / 4
    assert components(~lines)[1] == components(~walls)[1] > 1
