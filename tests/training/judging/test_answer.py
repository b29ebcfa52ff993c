"""An evaluation of a predictor: its probabilities count too."""

import json

import numpy as np
import pytest
from bundles import small_bundle, small_plan

from skipseg.models.bundle import load_bundle
from skipseg.models.inference.predictor import Predictor
from skipseg.training.datasets.dataset import open_dataset, read_case
from skipseg.training.judging.answer import answer
from skipseg.training.judging.ranges import ranges_of
from skipseg.training.planning.fingerprint import measure
from skipseg.training.runs.evaluate import evaluate


@pytest.fixture
def dataset(made):
    return open_dataset(made.msd(3, labels={"0": "background", "1": "label 1", "2": "label 2"}))


def predictor(folder, **plan):
    return Predictor(small_bundle(folder / "bundle", small_plan(**plan)), "cpu")


def test_a_predictors_evaluation_tells_calibration_trust_and_confusion(dataset, tmp_path):
    evaluate(predictor(tmp_path), "small", dataset, dataset.cases, tmp_path / "out")
    written = json.loads((tmp_path / "out/metrics.json").read_text())
    assert 0 < written["calibration"]["ece"] < 1
    assert sum(one["share"] for one in written["calibration"]["bins"]) == pytest.approx(1)
    assert written["trust"] == {"auroc": None, "threshold": 0.8, "poor": 3, "cases": 3}
    assert [sum(row) for row in written["confusion"]["shares"]] == pytest.approx([1, 1, 1])
    assert all(0 <= case["trust"]["score"] <= 1 for case in written["cases"])
    assert "trust" in (tmp_path / "out/cases.csv").read_text().splitlines()[0]
    page = (tmp_path / "out/report.html").read_text()
    assert "Expected calibration error" in page
    assert "3 of 3 cases have a mean Dice below 0.8" in page


@pytest.mark.parametrize("plan", [{}, {"dimensions": 2}, {"spacing": (2.0, 1.5, 1.0)}, {"tile": (8, 8, 8)}])
def test_looking_at_the_scores_changes_no_mask(dataset, tmp_path, plan):
    model = predictor(tmp_path, **plan)
    volume, truth = read_case(dataset, dataset.cases[0])
    found = answer(model, volume, truth)
    np.testing.assert_array_equal(found.mask.voxels, model.segment(volume).voxels)
    assert found.trust is not None
    assert found.reliability.voxels.sum() > 0


def test_a_bundle_knows_what_it_was_trained_on(dataset, tmp_path):
    ranges = ranges_of(measure(dataset))
    rod = ranges.labels["label 1"]
    assert ranges.spacing == ((1, 1), (1, 1), (2, 2))
    assert (rod.pieces, rod.always) == (1, True)
    assert rod.volume_mm3[0] <= 54 <= rod.volume_mm3[1]
    bundle = small_bundle(tmp_path / "bundle")
    manifest = bundle.manifest.model_dump_json()
    training = bundle.manifest.training.model_copy(update={"ranges": ranges})
    kept = bundle.manifest.model_copy(update={"training": training})
    assert "ranges" in manifest
    (tmp_path / "bundle/bundle.json").write_text(kept.model_dump_json())
    assert load_bundle(tmp_path / "bundle").manifest.training.ranges == ranges


def test_pictures_have_shares_in_place_of_millimetres(made):
    ranges = ranges_of(measure(open_dataset(made.pictures(3))))
    (only,) = ranges.labels.values()
    assert ranges.spacing is None
    assert only.volume_mm3 is None
    assert only.share == pytest.approx((9 / 192, 9 / 192))
