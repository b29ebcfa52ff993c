"""Intervals of means: about as wide as theory says, wider where cases belong together."""

import numpy as np
import pytest

from skipseg.training.judging.intervals import interval_of_mean


def test_the_interval_is_about_two_standard_errors_to_either_side():
    values = np.random.default_rng(0).normal(0.85, 0.05, 100)
    low, high = interval_of_mean(values.tolist())
    assert (low, high) == pytest.approx(values.mean() + np.array([-1.96, 1.96]) * values.std() / 10, abs=0.002)


def test_intervals_hold_the_true_mean_about_as_often_as_they_say():
    chance = np.random.default_rng(1)
    found = [interval_of_mean(chance.normal(0, 1, 40).tolist()) for _ in range(200)]
    assert 0.88 < np.mean([low < 0 < high for low, high in found]) < 0.99


def test_cases_of_one_subject_are_drawn_together():
    subjects = [str(number) for number in range(10) for _ in range(8)]
    values = [float(subject) for subject in subjects]  # all cases of a subject say the same
    alone, together = interval_of_mean(values), interval_of_mean(values, subjects)
    assert together[1] - together[0] > 2 * (alone[1] - alone[0])


def test_fewer_than_two_witnesses_give_no_interval():
    assert interval_of_mean([0.5, None]) is None
    assert interval_of_mean([0.5, 0.7, 0.9], ["a", "a", "a"]) is None
    assert interval_of_mean([]) is None


def test_equal_cases_give_equal_intervals_and_missing_ones_do_not_count():
    assert interval_of_mean([0.5, 0.7, 0.9]) == interval_of_mean([0.5, None, 0.7, 0.9])
    assert interval_of_mean([0.5, 0.5, 0.5]) == (0.5, 0.5)
