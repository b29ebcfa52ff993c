"""Two models on the same cases: what is paired, and what is written."""

import csv
import json
import re

import numpy as np
import pytest

from skipseg.models.errors import ScanUnusable
from skipseg.models.scans.volume import Mask
from skipseg.training.datasets.dataset import open_dataset, read_case
from skipseg.training.judging.paired import difference
from skipseg.training.runs.compare import compare


def missing(dataset, share):
    """A model that misses a share of every label, by the case's number; beyond 1 it refuses the case."""
    truths = {}
    for number, case in enumerate(dataset.cases):
        volume, truth = read_case(dataset, case)
        truths[volume.voxels.tobytes()] = (truth, share(number))

    def segment(volume):
        truth, missed = truths[volume.voxels.tobytes()]
        if missed > 1:
            raise ScanUnusable("too dark")
        voxels = truth.copy()
        for value in (1, 2):
            places = np.flatnonzero(truth == value)
            voxels.flat[places[: int(missed * len(places))]] = 0
        return Mask(voxels, volume.geometry, volume.source, dataset.labels)

    return segment


@pytest.fixture
def dataset(made):
    return open_dataset(made.msd(6))


def test_the_better_model_wins_every_case(dataset, tmp_path):
    models = [("old", missing(dataset, lambda n: 0.3 + n / 20)), ("new@2", missing(dataset, lambda n: 0.1))]
    found = compare(models, dataset, dataset.cases, tmp_path)
    dice = found.mean.dice
    assert (dice.wins, dice.losses, dice.ties, dice.cases) == (6, 0, 0, 6)
    assert dice.difference == pytest.approx(dice.b - dice.a)
    assert 0 < dice.interval[0] < dice.difference < dice.interval[1]
    assert dice.p == pytest.approx(2 / 2**6)  # the least that six pairs can give
    assert found.cases[0].case == "a5"  # it changed most
    assert found.labels["rod"].hd95_mm.cases == 6


def test_files_tell_the_same_as_the_answer(dataset, tmp_path):
    models = [("old", missing(dataset, lambda n: 0.5)), ("<new>", missing(dataset, lambda n: n / 6))]
    found = compare(models, dataset, dataset.cases, tmp_path, {"a": ["a1"], "b": []})
    written = json.loads((tmp_path / "comparison.json").read_text())
    assert (written["a"], written["b"], written["mean"]["dice"]["wins"]) == ("old", "<new>", found.mean.dice.wins)
    rows = list(csv.DictReader((tmp_path / "cases.csv").open()))
    assert len(rows) == 12
    assert float(rows[0]["dice_change"]) == pytest.approx(float(rows[0]["dice_b"]) - float(rows[0]["dice_a"]))
    page = (tmp_path / "report.html").read_text()
    assert "A (old) was trained on 1 of these cases" in page
    assert "Lost most: a5" in page
    assert "Gained most: a0" in page
    assert "<new>" not in page
    assert not re.search(r'(?:src|href)="(?!data:)|url\(|@import|<script', page)
    assert sorted(path.name for path in (tmp_path / "masks/a").iterdir()) == [f"a{n}.nii.gz" for n in range(6)]


def test_a_model_is_no_better_than_itself(dataset, tmp_path):
    model = missing(dataset, lambda n: 0.2)
    dice = compare([("one", model), ("one", model)], dataset, dataset.cases, tmp_path).mean.dice
    assert (dice.difference, dice.interval, dice.p, dice.ties) == (0, (0, 0), None, 6)


def test_a_case_that_one_model_refuses_is_named_and_in_no_difference(dataset, tmp_path):
    refuses = missing(dataset, lambda n: 2 if n == 3 else 0.1)
    found = compare([("a", missing(dataset, lambda n: 0.2)), ("b", refuses)], dataset, dataset.cases, tmp_path)
    assert [failure.case for failure in found.failed] == ["a3"]
    assert found.mean.dice.cases == 5
    assert "a3 has no score: too dark" in (tmp_path / "report.html").read_text()


def test_progress_runs_once_over_both_models(dataset, tmp_path):
    steps = []
    model = missing(dataset, lambda n: 0.2)
    compare(
        [("a", model), ("b", model)], dataset, dataset.cases[:2], tmp_path, progress=lambda *step: steps.append(step)
    )
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_smaller_distances_are_wins_and_missing_numbers_no_pairs():
    found = difference([3.0, 2.0, None, 1.0], [1.0, 2.0, 5.0, None], smaller=True)
    assert (found.cases, found.difference, found.wins, found.losses, found.ties) == (2, -1, 1, 0, 1)
    nothing = difference([None], [1.0], smaller=False)
    assert (nothing.cases, nothing.difference, nothing.interval, nothing.p) == (0, None, None, None)
